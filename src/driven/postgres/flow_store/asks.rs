//! What callers ask of runs: to end, and to be taken back.

use deadpool_postgres::Transaction;
use flow_domain::flows::run::RunStatus;
use flow_domain::flows::store::{Ack, Checkpoint};
use flow_domain::{Cancel, Error, Result, RunId, WorkerId};

use super::gates::pass;
use super::inserts::hold;
use super::rows;
use super::signals::word;
use crate::driven::postgres::error;
use crate::driven::postgres::pool::{PgPool, column, execute, query, query_opt};
use tokio_postgres::Row;

/// How often a caller's question is put again that stood in another's way.
const ATTEMPTS: u32 = 5;

/// Asked again after a deadlock: it would be no caller's fault.
pub(super) async fn request_cancel(pool: &PgPool, run: RunId, how: Cancel) -> Result<Option<RunStatus>> {
    let mut attempt = 1;
    loop {
        match ask_to_cancel(pool, run, how).await {
            Err(error) if attempt < ATTEMPTS && error::is_deadlock(&error) => {
                log::info!("run={run} asked to cancel again: {error}");
                attempt += 1;
            }
            asked => return asked,
        }
    }
}

async fn ask_to_cancel(pool: &PgPool, run: RunId, how: Cancel) -> Result<Option<RunStatus>> {
    let mut client = pool.client().await?;
    let client = client.transaction().await.map_err(error::from)?;
    // Before the run's own row: whoever gives places away locks in this order.
    query(&client, "select flow_lock_limits(array[$1::uuid])", &[&run.0]).await?;
    let rows = query(
        &client,
        "with asked as (
            update flow_run r
            set cancel_requested = true, cancel_forced = r.cancel_forced or $2::text = 'force',
                version = r.version + q.ends::int, event_seq = r.event_seq + q.ends::int,
                status = case when q.ends then 'cancelled' else r.status end,
                cause = case when q.ends then 'cancel' else r.cause end,
                finished_at = case when q.ends then now() end,
                cursor = case when not q.ends then r.cursor end,
                claimable_at = case when q.ends then null
                                    -- Without a time it waits for its key, which its end needs too. While undoing,
                                    -- its pause is part of the undo.
                                    when r.claimable_at is not null and r.status <> 'undoing' then now()
                                    else r.claimable_at end
            -- What nobody has begun ends at once: perhaps nobody could ever take it.
            from (select id, status = 'queued' and owner is null and parent_id is null as ends
                  from flow_run where id = $1::uuid for update) q
            where r.id = q.id and r.finished_at is null
            returning r.status, r.owner, r.concurrency_key, q.ends
        ), told as (
            select case when ends then (select count(*) from flow_hand_over(concurrency_key, $1::uuid))
                                     + (select count(*) from flow_leave(array[$1::uuid]))
                        when owner is null then (select count(*) from pg_notify('flow_signal', 'claimable'))
                        else (select count(*) from pg_notify('flow_signal', $2::text || ' ' || $1::text)) end as told
            from asked
        )
        select status, (select sum(told.told) from told) as told from asked
        union all
        select status, 0 from flow_run where id = $1::uuid and finished_at is not null",
        &[&run.0, &word(how)],
    )
    .await?;
    client.commit().await.map_err(error::from)?;
    let Some(row) = rows.first() else { return Ok(None) };
    let status: String = column(row, "status")?;
    RunStatus::parse(&status)
        .map(Some)
        .ok_or_else(|| Error::internal(format!("unknown run status {status:?}")))
}

/// Asked by a process that was deaf for a while.
pub(super) async fn cancels(pool: &PgPool, owner: WorkerId) -> Result<Vec<(RunId, Cancel)>> {
    let sql = "select id, cancel_requested, cancel_forced from flow_run where owner = $1::uuid and cancel_requested";
    let rows = pool.query(sql, &[&owner.0]).await?;
    rows.iter()
        .filter_map(|row| match (column(row, "id"), rows::cancel(row)) {
            (Ok(id), Ok(how)) => how.map(|how| Ok((RunId(id), how))),
            (Err(error), _) | (_, Err(error)) => Some(Err(error)),
        })
        .collect()
}

/// An ended run goes back to work: nobody owns it, and anybody may take it once it holds its key again.
pub(super) async fn reopen(pool: &PgPool, checkpoint: Checkpoint) -> Result<Ack> {
    let mut client = pool.client().await?;
    let transaction = client.transaction().await.map_err(error::from)?;
    let head = &checkpoint.head;
    let key = query_opt(
        &transaction,
        "select concurrency_key, gates from flow_run
         where id = $1::uuid and (concurrency_key is not null or gates is not null)",
        &[&checkpoint.run.0],
    )
    .await?;
    let holds = match &key {
        Some(row) => take_up(&transaction, row, checkpoint.run).await?,
        None => true,
    };
    let moved = execute(
        &transaction,
        "update flow_run
         set status = $3::text, version = version + 1, event_seq = $4::bigint, finished_at = null, cursor = null,
             claimable_at = case when $5::bool then now() end, takeovers = 0, cancel_requested = false,
             cancel_forced = false, ticket = case when concurrency_key is not null then nextval('flow_run_ticket') end
         where id = $1::uuid and version = $2::bigint and finished_at is not null and superseded_by is null",
        &[&checkpoint.run.0, &checkpoint.version, &head.status.as_str(), &head.event_seq, &holds],
    )
    .await?;
    if moved == 0 {
        return Ok(Ack::Fenced);
    }
    for step in &checkpoint.steps {
        execute(
            &transaction,
            "update step set undo_status = $3::text, undo_attempt = $4::int where run_id = $1::uuid and seq = $2::int",
            &[&checkpoint.run.0, &step.seq, &step.undo.as_str(), &(step.undo_attempt as i32)],
        )
        .await?;
    }
    for event in &checkpoint.events {
        execute(
            &transaction,
            "insert into event (run_id, number, kind, at, data)
             values ($1::uuid, $2::bigint, $3::text, $4::timestamptz, $5::json)",
            &[&checkpoint.run.0, &event.number, &event.kind.as_str(), &event.at, &event.data],
        )
        .await?;
    }
    execute(&transaction, "select pg_notify('flow_signal', 'claimable')", &[]).await?;
    transaction.commit().await.map_err(error::from)?;
    Ok(Ack::Stored { cancel: None })
}

/// Whether the run holds its key now, if it has one, and has passed its gates.
async fn take_up(transaction: &Transaction<'_>, row: &Row, run: RunId) -> Result<bool> {
    let holds = match column::<Option<String>>(row, "concurrency_key")? {
        Some(key) => hold(transaction, &key, run).await?,
        None => true,
    };
    let gates: Vec<String> = column::<Option<_>>(row, "gates")?.unwrap_or_default();
    Ok(holds && pass(transaction, run, &gates).await?)
}
