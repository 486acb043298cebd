//! What is known of files, and their rows on the way into tables.

mod encode;
mod load;
mod register;

use std::sync::Arc;

use async_trait::async_trait;
use flow_domain::ingest::{
    ChunkJob, ChunkRef, Dataset, IngestStore, LOADS_AT_ONCE, Loaded, NewFile, Progress, RejectedFile,
    RowFault, Standing,
};
use flow_domain::objects::Object;
use flow_domain::{Error, Result, RunId};
use tokio::sync::Semaphore;
use tokio_postgres::Row;
use tokio_postgres::types::Json;

use super::pool::{PgPool, column};

const UNKNOWN: &str = "
    select given.position - 1 as position
    from unnest($2::text[], $3::text[], $4::bigint[]) with ordinality as given (path, etag, size_bytes, position)
    where not exists (
        select from ingest_file as known
        where known.dataset = $1::text and known.path = given.path and known.etag = given.etag
            and known.size_bytes = given.size_bytes
    )
    order by given.position";
/// A chunk that is over keeps who loaded it.
const BEGIN: &str = "
    with begun as (
        update ingest_chunk set run_id = $3::uuid
        where file_id = $1::bigint and number = $2::integer and status = 'waiting'
    )
    select file.dataset, file.path, file.etag, file.size_bytes, file.headers,
        chunk.start_byte, chunk.end_byte, chunk.first_line,
        case when file.status = 'superseded' and chunk.status = 'waiting' then 'superseded' else chunk.status end
            as status
    from ingest_chunk as chunk join ingest_file as file on file.id = chunk.file_id
    where chunk.file_id = $1::bigint and chunk.number = $2::integer";
const GIVE_UP: &str = "
    update ingest_chunk set status = $3::text, reason = $4::text, ended_at = now()
    where file_id = $1::bigint and number = $2::integer and status = 'waiting'";
/// A chunk whose run ended and did not load it has failed as well: nobody loads it any more.
const PROGRESS: &str = "
    with files as (
        select id, status, rows_found, rows_unfit, registered_at from ingest_file where run_id = $1::uuid
    ),
    chunks as (
        select chunk.file_id, chunk.rows_loaded, chunk.rows_changed, chunk.rows_skipped, chunk.ended_at, chunk.reason,
            case
                when chunk.status = 'waiting' and file.status = 'superseded' then 'superseded'
                when chunk.status = 'waiting' and run.status in ('failed', 'cancelled', 'undone', 'undo_failed')
                    then 'failed'
                else chunk.status
            end as status
        from files as file
        join ingest_chunk as chunk on chunk.file_id = file.id
        left join flow_run as run on run.id = chunk.run_id
    )
    select
        (select count(*) from files) as files,
        (select count(*) from files where status = 'rejected') as rejected,
        (select count(*) from files where status = 'superseded'
            or id in (select file_id from chunks where status = 'superseded')) as superseded,
        (select coalesce(sum(rows_found), 0)::bigint from files where status <> 'rejected') as rows_expected,
        -- Lines that no chunk could hold; they are kept by the scan.
        (select count(*) from ingest_skipped_row as kept join files on files.id = kept.file_id
            where files.status <> 'rejected') as kept,
        (select greatest(max(files.registered_at), (select max(ended_at) from chunks)) from files) as moved_at,
        count(*) as chunks,
        count(*) filter (where status = 'loaded') as loaded,
        count(*) filter (where status = 'superseded') as chunks_superseded,
        count(*) filter (where status = 'failed') as failed,
        coalesce(sum(rows_loaded), 0)::bigint as rows_loaded,
        coalesce(sum(rows_changed), 0)::bigint as rows_changed,
        min(reason) filter (where status = 'failed') as reason
    from chunks";
const REJECTED: &str = "
    select path, faults, rows_unfit from ingest_file
    where run_id = $1::uuid and status = 'rejected' order by path limit $2::bigint";

#[derive(Clone)]
pub struct PgIngest {
    pool: PgPool,
    loads: Arc<Semaphore>,
}

impl PgIngest {
    pub fn new(pool: PgPool) -> Self {
        Self { pool, loads: Arc::new(Semaphore::new(LOADS_AT_ONCE)) }
    }
}

#[async_trait]
impl IngestStore for PgIngest {
    async fn unknown(&self, dataset: &str, objects: Vec<Object>) -> Result<Vec<Object>> {
        let paths: Vec<&str> = objects.iter().map(|object| &*object.path).collect();
        let etags: Vec<&str> = objects.iter().map(|object| &*object.etag).collect();
        let sizes: Vec<i64> = objects.iter().map(|object| signed(object.size_bytes)).collect();
        let rows = self.pool.query(UNKNOWN, &[&dataset, &paths, &etags, &sizes]).await?;
        let position = |row: &Row| column::<i64>(row, "position");
        let unknown = rows.iter().map(position).collect::<Result<std::collections::HashSet<_>>>()?;
        let kept = objects.into_iter().zip(0_i64..).filter(|(_, position)| unknown.contains(position));
        Ok(kept.map(|(object, _)| object).collect())
    }

    async fn register(&self, file: NewFile<'_>) -> Result<Option<i64>> {
        register::register(&self.pool, file).await
    }

    async fn begin(&self, chunk: ChunkRef, run: RunId) -> Result<Option<ChunkJob>> {
        let row = self.pool.query_opt(BEGIN, &[&chunk.file, &chunk.number, &run.0]).await?;
        row.map(|row| job(chunk, &row)).transpose()
    }

    async fn load(&self, dataset: &Arc<Dataset>, job: &ChunkJob, bytes: Vec<u8>) -> Result<Option<Loaded>> {
        let _turn = self.loads.acquire().await.map_err(Error::internal)?;
        load::load(&self.pool, dataset, job, bytes).await
    }

    async fn give_up(&self, chunk: ChunkRef, standing: Standing, reason: &str) -> Result<()> {
        let status = if standing == Standing::Superseded { "superseded" } else { "failed" };
        self.pool.execute(GIVE_UP, &[&chunk.file, &chunk.number, &status, &reason]).await.map(drop)
    }

    async fn progress(&self, run: RunId) -> Result<Progress> {
        let row = self.pool.query_opt(PROGRESS, &[&run.0]).await?;
        let row = row.ok_or_else(|| Error::internal("counting answered no row"))?;
        let number = |name| column::<i64>(&row, name).map(i64::unsigned_abs);
        Ok(Progress {
            files: number("files")?,
            rejected: number("rejected")?,
            superseded: number("superseded")?,
            chunks: number("chunks")?,
            chunks_loaded: number("loaded")?,
            chunks_superseded: number("chunks_superseded")?,
            chunks_failed: number("failed")?,
            rows_expected: number("rows_expected")?,
            loaded: Loaded {
                rows: number("rows_loaded")?,
                changed: number("rows_changed")?,
                skipped: number("kept")?,
            },
            reason: column(&row, "reason")?,
            moved_at: column(&row, "moved_at")?,
        })
    }

    async fn rejected(&self, run: RunId, at_most: i64) -> Result<Vec<RejectedFile>> {
        let rows = self.pool.query(REJECTED, &[&run.0, &at_most]).await?;
        let read = |row: &Row| {
            let Json(faults) = column::<Json<Vec<RowFault>>>(row, "faults")?;
            let skipped = column::<i64>(row, "rows_unfit")?.unsigned_abs();
            Ok(RejectedFile { path: column(row, "path")?, faults, skipped })
        };
        rows.iter().map(read).collect()
    }
}

fn job(chunk: ChunkRef, row: &Row) -> Result<ChunkJob> {
    let number = |name| column::<i64>(row, name).map(i64::unsigned_abs);
    Ok(ChunkJob {
        chunk,
        dataset: column(row, "dataset")?,
        object: Object {
            path: column(row, "path")?,
            etag: column(row, "etag")?,
            size_bytes: number("size_bytes")?,
        },
        headers: column(row, "headers")?,
        start: number("start_byte")?,
        end: number("end_byte")?,
        line: number("first_line")?,
        standing: match column::<&str>(row, "status")? {
            "waiting" => Standing::Waiting,
            "loaded" => Standing::Loaded,
            "superseded" => Standing::Superseded,
            _ => Standing::Failed,
        },
    })
}

/// No file and no count of ours is larger.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
