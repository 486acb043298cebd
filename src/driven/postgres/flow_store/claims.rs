//! Leases, claims and cancels: who may drive a run.

use std::collections::HashMap;
use std::time::Duration;

use flow_domain::flows::run::{Run, RunStatus};
use flow_domain::flows::step::Step;
use flow_domain::flows::store::{Ack, Checkpoint, Worker};
use flow_domain::{Error, Result, RunId, WorkerId};

use super::rows::{self, run_columns};
use super::{PgFlowStore, reads};
use crate::driven::postgres::error;
use crate::driven::postgres::pool::{PgPool, column, execute, query};

pub(super) async fn renew(pool: &PgPool, worker: &Worker) -> Result<()> {
    pool.execute(
        "insert into worker (id, host, host_id, labels, tasks)
         values ($1::uuid, $2::text, $5::text, $3::text[], $4::text[])
         on conflict (id) do update set heartbeat_at = now()",
        &[&worker.id.0, &worker.host, &worker.labels, &worker.tasks, &worker.host_id],
    )
    .await
    .map(|_| ())
}

/// Its row stays, as one whose lease ran out long ago, for whatever runs it may still own.
pub(super) async fn retire(pool: &PgPool, worker: WorkerId) -> Result<()> {
    pool.execute("update worker set heartbeat_at = '-infinity' where id = $1::uuid", &[&worker.0])
        .await
        .map(|_| ())
}

/// One statement finds and takes: rows that another process takes at this moment are passed over.
pub(super) async fn claim(
    store: &PgFlowStore,
    worker: &Worker,
    limit: usize,
    abandoned: Option<Duration>,
) -> Result<Vec<Run>> {
    let client = store.pool.client().await?;
    let claimed = query(
        &client,
        concat!(
            "with due as (
                select r.id from flow_run r join flow_version v on v.hash = r.flow_version
                where r.claimable_at <= now() and v.tasks <@ $2::text[]
                  and (v.runs_on is null or v.runs_on = any($3::text[]))
                  and (r.host is null or r.host = $6::text)
                order by r.claimable_at limit $4::bigint for update of r skip locked
            ), left_behind as (
                select r.id from flow_run r join flow_version v on v.hash = r.flow_version
                where r.owner in (select w.id from worker w
                                  where $5::float8 is not null
                                    and w.heartbeat_at < now() - make_interval(secs => $5::float8))
                  and v.tasks <@ $2::text[] and (v.runs_on is null or v.runs_on = any($3::text[]))
                  and (r.host is null or r.host = $6::text)
                order by r.id limit $4::bigint for update of r skip locked
            ), taken as (
                select id, 0 as takeover from due union all select id, 1 from left_behind
            )
            update flow_run r
            set owner = $1::uuid, epoch = r.epoch + 1, version = r.version + 1, claimable_at = null,
                takeovers = r.takeovers + t.takeover,
                event_seq = r.event_seq + case when r.status = 'queued' then 1 else 0 end,
                started_at = coalesce(r.started_at, now()),
                status = case when r.status in ('queued', 'waiting') then 'running' else r.status end
            from taken t where r.id = t.id
            returning ",
            run_columns!()
        ),
        &[
            &worker.id.0,
            &worker.tasks,
            &worker.labels,
            &(limit as i64),
            &abandoned.map(|after| after.as_secs_f64()),
            &worker.host_id,
        ],
    )
    .await?;
    if claimed.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<uuid::Uuid> = claimed.iter().map(|row| column(row, "id")).collect::<Result<_>>()?;
    let rows = query(
        &client,
        "select run_id, seq, position, attempt, status, undo_status, undoable, undo_attempt, started_event,
                finished_event, started_at, finished_at, waited_until, name, task, input, output, error, undo_error,
                secrets
         from step where run_id = any($1::uuid[]) order by run_id, seq",
        &[&ids],
    )
    .await?;
    // Reading a definition that is not in memory takes a connection of the pool itself.
    drop(client);
    let mut steps: HashMap<uuid::Uuid, Vec<Step>> = HashMap::new();
    for row in &rows {
        steps.entry(column(row, "run_id")?).or_default().push(rows::step(row)?);
    }
    let mut runs = Vec::with_capacity(claimed.len());
    for row in &claimed {
        let definition = reads::definition_of(store, row).await?;
        runs.push(rows::run(row, definition, steps.remove(&column(row, "id")?).unwrap_or_default())?);
    }
    Ok(runs)
}

pub(super) async fn next_due(pool: &PgPool) -> Result<Option<Duration>> {
    let row = pool
        .query_opt(
            "select extract(epoch from min(claimable_at) - now())::float8 as due from flow_run
             where claimable_at is not null",
            &[],
        )
        .await?;
    let due = row.map(|row| column::<Option<f64>>(&row, "due")).transpose()?.flatten();
    Ok(due.map(|seconds| Duration::from_secs_f64(seconds.clamp(0.0, 1e6))))
}

pub(super) async fn request_cancel(pool: &PgPool, run: RunId) -> Result<Option<RunStatus>> {
    let client = pool.client().await?;
    let rows = query(
        &client,
        "with asked as (
            update flow_run r
            set cancel_requested = true, version = r.version + q.ends::int, event_seq = r.event_seq + q.ends::int,
                status = case when q.ends then 'cancelled' else r.status end,
                cause = case when q.ends then 'cancel' else r.cause end,
                finished_at = case when q.ends then now() end,
                cursor = case when not q.ends then r.cursor end,
                claimable_at = case when q.ends then null
                                    -- While undoing, its pause is part of the undo.
                                    when r.owner is null and r.status <> 'undoing' then now()
                                    else r.claimable_at end
            -- What nobody has begun ends at once: perhaps nobody could ever take it.
            from (select id, status = 'queued' and owner is null and parent_id is null as ends
                  from flow_run where id = $1::uuid for update) q
            where r.id = q.id and r.finished_at is null
            returning r.status, r.owner, r.concurrency_key, q.ends
        ), told as (
            select case when ends then flow_hand_over(concurrency_key, $1::uuid)::text
                        when owner is null then pg_notify('flow_signal', 'claimable')::text
                        else pg_notify('flow_signal', 'cancel ' || $1::text)::text end
            from asked
        )
        select status, (select count(*) from told where told is not null) as told from asked
        union all
        select status, 0 from flow_run where id = $1::uuid and finished_at is not null",
        &[&run.0],
    )
    .await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let status: String = column(row, "status")?;
    RunStatus::parse(&status)
        .map(Some)
        .ok_or_else(|| Error::internal(format!("unknown run status {status:?}")))
}

/// An ended run goes back to work: nobody owns it, anybody may take it.
pub(super) async fn reopen(pool: &PgPool, checkpoint: Checkpoint) -> Result<Ack> {
    let mut client = pool.client().await?;
    let transaction = client.transaction().await.map_err(error::from)?;
    let head = &checkpoint.head;
    let moved = execute(
        &transaction,
        "update flow_run
         set status = $3::text, version = version + 1, event_seq = $4::bigint, finished_at = null, cursor = null,
             claimable_at = now(), takeovers = 0, cancel_requested = false
         where id = $1::uuid and version = $2::bigint and finished_at is not null and superseded_by is null",
        &[&checkpoint.run.0, &checkpoint.version, &head.status.as_str(), &head.event_seq],
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
    Ok(Ack::Stored { cancel_requested: false })
}
