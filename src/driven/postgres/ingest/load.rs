//! A chunk's rows: binary COPY into a temporary table, then one upsert.

use std::io::Cursor;
use std::sync::Arc;

use deadpool_postgres::Transaction;
use flow_domain::ingest::{ChunkJob, Column, ColumnKind, Dataset, Layout, Loaded, Skipped, read_rows};
use flow_domain::{Error, Result};
use futures_util::SinkExt;

use super::encode::Encoder;
use super::register::keep_skipped;
use super::signed;
use crate::driven::postgres::error;
use crate::driven::postgres::pool::{PgPool, execute, query_opt};

/// Who registers a newer version waits for this transaction.
const LOCK_FILE: &str = "select from ingest_file where id = $1::bigint and status = 'taken' for share";
const LOCK_CHUNK: &str = "
    select from ingest_chunk
    where file_id = $1::bigint and number = $2::integer and status = 'waiting' for update";
const LOADED: &str = "
    update ingest_chunk
    set status = 'loaded', rows_loaded = $3::bigint, rows_changed = $4::bigint, rows_skipped = $5::bigint,
        ended_at = clock_timestamp()
    where file_id = $1::bigint and number = $2::integer";
const BUMP: &str = "
    with bumped as (
        insert into dataset_version (dataset, version) values ($1::text, 1)
        on conflict (dataset) do update set version = dataset_version.version + 1
        returning 1
    )
    select pg_notify('dataset_version', '') from bumped";
/// Buffers handed to the connection; the whole would be copied once more.
const PIECE: usize = 256 * 1024;

type Encoded = (Vec<u8>, u64, Vec<Skipped>);

pub(super) async fn load(
    pool: &PgPool,
    dataset: &Arc<Dataset>,
    job: &ChunkJob,
    bytes: Vec<u8>,
) -> Result<Option<Loaded>> {
    let (copy, rows, skipped) = encoded(dataset.clone(), job, bytes).await?;
    let mut client = pool.client().await?;
    let transaction = client.transaction().await.map_err(error::from)?;
    let (file, number) = (&job.chunk.file, &job.chunk.number);
    if query_opt(&transaction, LOCK_FILE, &[file]).await?.is_none()
        || query_opt(&transaction, LOCK_CHUNK, &[file, number]).await?.is_none()
    {
        return Ok(None);
    }
    let changed =
        upsert(&transaction, dataset, *file, copy).await.map_err(|error| refused(dataset, error))?;
    keep_skipped(&transaction, *file, &skipped).await?;
    let loaded = Loaded { rows, changed, skipped: skipped.len() as u64 };
    let counts = [loaded.rows, loaded.changed, loaded.skipped].map(signed);
    execute(&transaction, LOADED, &[file, number, &counts[0], &counts[1], &counts[2]]).await?;
    if changed > 0 {
        // Last, for commits of one dataset wait for each other here.
        query_opt(&transaction, BUMP, &[&dataset.name]).await?;
    }
    transaction.commit().await.map_err(error::from)?;
    Ok(Some(loaded))
}

async fn encoded(dataset: Arc<Dataset>, job: &ChunkJob, bytes: Vec<u8>) -> Result<Encoded> {
    let layout = Layout::of(&dataset, job.headers.clone()).map_err(|_| {
        let sentence = "The dataset's columns changed after the file was looked through.";
        Error::invalid("ingest.dataset_changed", sentence, vec![])
    })?;
    let line = job.line;
    // Some tens of milliseconds a chunk.
    let work = tokio::task::spawn_blocking(move || {
        let mut encoder = Encoder::new(&dataset, bytes.len());
        read_rows(&dataset, &layout, &bytes, line, &mut encoder);
        encoder.finish()
    });
    work.await.map_err(Error::internal)
}

/// Answers how many rows were new or another than before.
async fn upsert(
    transaction: &Transaction<'_>,
    dataset: &Dataset,
    file: i64,
    copy: Vec<u8>,
) -> Result<u64, tokio_postgres::Error> {
    let Statements { stage, copy_in, upsert } = Statements::of(dataset);
    transaction.batch_execute(&stage).await?;
    let mut rest = &copy[..];
    let sink = transaction.copy_in(&copy_in).await?;
    futures_util::pin_mut!(sink);
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.len().min(PIECE));
        sink.feed(Cursor::new(piece.to_vec())).await?;
        sink.flush().await?;
        rest = after;
    }
    sink.finish().await?;
    drop(copy);
    transaction.execute(&upsert, &[&file]).await
}

/// What is away may come back; rows that the table refuses are refused each time.
fn refused(dataset: &Dataset, cause: tokio_postgres::Error) -> Error {
    let Some(refusal) = cause.as_db_error() else { return error::from(cause) };
    let class = &refusal.code().code()[..2];
    match class {
        // Data, constraints, and tables or columns that are not there.
        "22" | "23" | "42" => {
            let at = refusal.constraint().map(|name| format!(" (constraint {name})")).unwrap_or_default();
            let sentence = format!("The table {:?} refuses rows of this chunk{at}.", dataset.table);
            Error::invalid("ingest.table_refuses", sentence, vec![]).because(error::describe(&cause))
        }
        _ => error::from(cause),
    }
}

/// A dataset's names are checked when it is read: letters, digits and `_`.
struct Statements {
    stage: String,
    copy_in: String,
    upsert: String,
}

impl Statements {
    fn of(dataset: &Dataset) -> Self {
        let names: Vec<String> = dataset.columns.iter().map(|column| quoted(&column.name)).collect();
        let key: Vec<String> = dataset.key.iter().map(|name| quoted(name)).collect();
        let typed = |column: &Column| format!("{} {}", quoted(&column.name), type_of(column.kind));
        let typed: Vec<String> = dataset.columns.iter().map(typed).collect();
        let set: Vec<String> = names.iter().map(|name| format!("{name} = excluded.{name}")).collect();
        let (names, key, table) = (names.join(", "), key.join(", "), quoted(&dataset.table));
        Self {
            stage: format!(
                "create temporary table ingest_stage (ingest_line bigint, {}) on commit drop",
                typed.join(", ")
            ),
            copy_in: format!("copy ingest_stage (ingest_line, {names}) from stdin (format binary)"),
            upsert: format!(
                "insert into ingested.{table} as kept ({names}, ingest_file, ingest_line)
                 select {names}, $1::bigint, ingest_line from ingest_stage
                 on conflict ({key}) do update
                 set {}, ingest_file = excluded.ingest_file, ingest_line = excluded.ingest_line
                 where (kept.ingest_file, kept.ingest_line) < (excluded.ingest_file, excluded.ingest_line)",
                set.join(", ")
            ),
        }
    }
}

fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

fn type_of(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Integer => "bigint",
        ColumnKind::Number => "double precision",
        ColumnKind::Text => "text",
        ColumnKind::Boolean => "boolean",
        ColumnKind::Date => "date",
        ColumnKind::Time => "timestamptz",
    }
}
