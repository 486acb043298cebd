//! A file that was looked through, its chunks and their messages: one commit.

use deadpool_postgres::Transaction;
use flow_domain::ingest::{CHUNK_FOUND, Chunk, ChunkRef, NewFile, Skipped};
use flow_domain::queue::Event;
use flow_domain::{Error, EventId, Result};
use serde_json::json;
use tokio_postgres::types::Json;
use uuid::Uuid;

use super::signed;
use crate::driven::postgres::error;
use crate::driven::postgres::pool::{PgPool, column, execute, query_opt};
use crate::driven::postgres::queue::store;

/// Of the events' ids, which are made from the chunk's: told twice, it is one event.
const NAMESPACE: Uuid = Uuid::from_u128(0x9d0c_51a7_0f1c_4c58_9a3f_7f6e_2b1d_c640);
/// Chunks stored by one statement.
const BATCH: usize = 1000;

const REGISTER: &str = "
    insert into ingest_file
        (dataset, path, etag, size_bytes, run_id, status, headers, rows_found, rows_unfit, faults)
    values ($1::text, $2::text, $3::text, $4::bigint, $5::uuid, $6::text, $7::text[], $8::bigint, $9::bigint,
        $10::jsonb)
    on conflict (dataset, path, etag, size_bytes) do nothing
    returning id";
/// Waits for the chunks that are being loaded; from the commit on none of the others is.
const SUPERSEDE: &str = "
    update ingest_file set status = 'superseded'
    where dataset = $1::text and path = $2::text and id < $3::bigint and status = 'taken'";
const ADD_CHUNKS: &str = "
    insert into ingest_chunk (file_id, number, start_byte, end_byte, first_line, rows_found)
    select $1::bigint, number, start_byte, end_byte, first_line, rows_found
    from unnest($2::integer[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
        as chunk (number, start_byte, end_byte, first_line, rows_found)";
const KEEP_SKIPPED: &str = "
    insert into ingest_skipped_row (file_id, line, column_name, code, detail, content)
    select $1::bigint, line, column_name, code, detail, content
    from unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[])
        as skipped (line, column_name, code, detail, content)
    on conflict (file_id, line) do nothing";

pub(super) async fn register(pool: &PgPool, file: NewFile<'_>) -> Result<Option<i64>> {
    let NewFile { dataset, object, run, scanned, publish } = file;
    let mut client = pool.client().await?;
    let transaction = client.transaction().await.map_err(error::from)?;
    let status = if scanned.rejected { "rejected" } else { "taken" };
    let (size, faults) = (signed(object.size_bytes), Json(&scanned.faults));
    let (rows, unfit) = (signed(scanned.rows), signed(scanned.skipped));
    let (path, etag, headers) = (&object.path, &object.etag, &scanned.headers);
    let row = query_opt(
        &transaction,
        REGISTER,
        &[&dataset, path, etag, &size, &run.0, &status, headers, &rows, &unfit, &faults],
    )
    .await?;
    let Some(row) = row else { return Ok(None) };
    let id: i64 = column(&row, "id")?;
    if !scanned.rejected {
        execute(&transaction, SUPERSEDE, &[&dataset, path, &id]).await?;
        keep_skipped(&transaction, id, &scanned.endless).await?;
        for chunks in scanned.chunks.chunks(BATCH) {
            add(&transaction, id, chunks).await?;
            if publish {
                store(&transaction, &messages(dataset, path, id, chunks)?).await?;
            }
        }
    }
    transaction.commit().await.map_err(error::from)?;
    Ok(Some(id))
}

async fn add(transaction: &Transaction<'_>, file: i64, chunks: &[Chunk]) -> Result<()> {
    let numbers: Vec<i32> = chunks.iter().map(|chunk| chunk.number).collect();
    let all = |of: fn(&Chunk) -> u64| -> Vec<i64> { chunks.iter().map(|chunk| signed(of(chunk))).collect() };
    let (starts, ends) = (all(|chunk| chunk.start), all(|chunk| chunk.end));
    let (lines, rows) = (all(|chunk| chunk.line), all(|chunk| chunk.rows));
    execute(transaction, ADD_CHUNKS, &[&file, &numbers, &starts, &ends, &lines, &rows]).await.map(drop)
}

/// Of one key, so that a file's chunks are told in their order.
fn messages(dataset: &str, path: &str, file: i64, chunks: &[Chunk]) -> Result<Vec<Event>> {
    let key = format!("{dataset}/{path}");
    let message = |chunk: &Chunk| {
        let chunk = ChunkRef { file, number: chunk.number };
        let id = Uuid::new_v5(&NAMESPACE, format!("{file}/{}", chunk.number).as_bytes());
        let data = serde_json::to_value(chunk).map_err(Error::internal)?;
        Ok(Event::new(CHUNK_FOUND, key.clone(), json!(data)).with_id(EventId(id)))
    };
    chunks.iter().map(message).collect()
}

/// Beside the rows that stand.
pub(super) async fn keep_skipped(transaction: &Transaction<'_>, file: i64, rows: &[Skipped]) -> Result<()> {
    for rows in rows.chunks(BATCH) {
        let lines: Vec<i64> = rows.iter().map(|row| signed(row.fault.line)).collect();
        let columns: Vec<Option<&str>> = rows.iter().map(|row| row.fault.column.as_deref()).collect();
        let codes: Vec<&str> = rows.iter().map(|row| &*row.fault.code).collect();
        let details: Vec<&str> = rows.iter().map(|row| &*row.fault.detail).collect();
        let contents: Vec<&str> = rows.iter().map(|row| &*row.content).collect();
        execute(transaction, KEEP_SKIPPED, &[&file, &lines, &columns, &codes, &details, &contents]).await?;
    }
    Ok(())
}
