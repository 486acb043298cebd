//! Leases and claims: who may drive a run.

use std::collections::HashMap;
use std::time::Duration;

use deadpool_postgres::Client;
use flow_domain::flows::run::Run;
use flow_domain::flows::step::Step;
use flow_domain::flows::store::Worker;
use flow_domain::{Result, RunId, WorkerId};
use tokio_postgres::Row;

use super::rows::{self, run_columns};
use super::{PgFlowStore, reads};
use crate::driven::postgres::pool::{PgPool, column, query};

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
            "with alive as (
                select w.host_id from worker w where w.heartbeat_at >= now() - make_interval(secs => $5::float8)
            ), due as (
                select r.id from flow_run r join flow_version v on v.hash = r.flow_version
                where r.claimable_at <= now() and v.tasks <@ $2::text[]
                  and (v.runs_on is null or v.runs_on = any($3::text[]))
                  and (r.host is null or r.host = $6::text or r.cancel_forced and $5::float8 is not null
                       and r.host not in (select a.host_id from alive a))
                order by r.claimable_at limit $4::bigint for update of r skip locked
            ), left_behind as (
                select r.id from flow_run r join flow_version v on v.hash = r.flow_version
                where r.owner in (select w.id from worker w
                                  where $5::float8 is not null
                                    and w.heartbeat_at < now() - make_interval(secs => $5::float8))
                  and v.tasks <@ $2::text[] and (v.runs_on is null or v.runs_on = any($3::text[]))
                  and (r.host is null or r.host = $6::text or r.cancel_forced and $5::float8 is not null
                       and r.host not in (select a.host_id from alive a))
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
    with_steps(store, client, &claimed).await
}

/// As a claim of many, for the run that a hint named.
pub(super) async fn claim_one(store: &PgFlowStore, worker: &Worker, run: RunId) -> Result<Option<Run>> {
    let client = store.pool.client().await?;
    let claimed = query(
        &client,
        concat!(
            "update flow_run r
            set owner = $1::uuid, epoch = r.epoch + 1, version = r.version + 1, claimable_at = null,
                event_seq = r.event_seq + case when r.status = 'queued' then 1 else 0 end,
                started_at = coalesce(r.started_at, now()),
                status = case when r.status in ('queued', 'waiting') then 'running' else r.status end
            from flow_version v
            where r.id = $5::uuid and v.hash = r.flow_version and r.claimable_at <= now() and v.tasks <@ $2::text[]
              and (v.runs_on is null or v.runs_on = any($3::text[])) and (r.host is null or r.host = $4::text)
            returning ",
            run_columns!()
        ),
        &[&worker.id.0, &worker.tasks, &worker.labels, &worker.host_id, &run.0],
    )
    .await?;
    with_steps(store, client, &claimed).await.map(|mut runs| runs.pop())
}

async fn with_steps(store: &PgFlowStore, client: Client, claimed: &[Row]) -> Result<Vec<Run>> {
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
    for row in claimed {
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
