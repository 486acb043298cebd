//! What callers see of runs.

use std::sync::Arc;

use flow_domain::flows::definition::Definition;
use flow_domain::flows::event::{Event, EventKind};
use flow_domain::flows::run::Run;
use flow_domain::flows::step::Step;
use flow_domain::flows::store::{EVENTS_BYTES, RunFilter, Standing};
use flow_domain::{Error, Result, RunId};
use serde_json::Value;
use tokio_postgres::Row;
use uuid::Uuid;

use super::PgFlowStore;
use super::gates;
use super::rows::{self, run_columns};
use crate::driven::postgres::pool::{PgPool, column, query, query_opt};

pub(super) async fn run(store: &PgFlowStore, id: RunId) -> Result<Option<Run>> {
    let client = store.pool.client().await?;
    let sql = concat!("select ", run_columns!(), " from flow_run r where r.id = $1::uuid");

    // The run first: its steps may be newer than it is, but never miss what its status promises.
    let Some(row) = query_opt(&client, sql, &[&id.0]).await? else { return Ok(None) };
    let steps = query(
        &client,
        "select seq, position, attempt, status, undo_status, undoable, undo_attempt, started_event, finished_event,
                started_at, finished_at, waited_until, name, task, input, output, error, undo_error,
                secrets
         from step where run_id = $1::uuid order by seq",
        &[&id.0],
    )
    .await?;
    drop(client);
    let steps = steps.iter().map(rows::step).collect::<Result<Vec<Step>>>()?;
    let definition = definition_of(store, &row).await?;
    rows::run(&row, definition, steps).map(Some)
}

pub(super) async fn runs(store: &PgFlowStore, filter: &RunFilter) -> Result<Vec<Run>> {
    let rows = store
        .pool
        .query(
            concat!(
                "select ",
                run_columns!(),
                " from flow_run r
                 where ($1::uuid is null or r.caller_id = $1::uuid) and ($2::text is null or r.status = $2::text)
                   and ($3::text is null or r.flow = $3::text) and ($4::uuid is null or r.id < $4::uuid)
                 order by r.id desc limit $5::bigint"
            ),
            &[
                &filter.caller.map(|caller| caller.0),
                &filter.status.map(|status| status.as_str()),
                &filter.flow,
                &filter.before.map(|run| run.0),
                &(filter.limit as i64),
            ],
        )
        .await?;
    let mut runs = Vec::with_capacity(rows.len());
    for row in &rows {
        runs.push(rows::run(row, definition_of(store, row).await?, Vec::new())?);
    }
    Ok(runs)
}

async fn definition(store: &PgFlowStore, hash: &str) -> Result<Option<Arc<Definition>>> {
    if let Some(known) = store.definitions.get(hash) {
        return Ok(Some(known));
    }
    let sql = "select definition from flow_version where hash = $1::text";
    let Some(row) = store.pool.query_opt(sql, &[&hash]).await? else { return Ok(None) };
    let value: Value = column(&row, "definition")?;
    let definition = Arc::new(serde_json::from_value::<Definition>(value).map_err(Error::internal)?);
    store.definitions.remember(&hash.into(), &definition, false);
    Ok(Some(definition))
}

pub(super) async fn definition_of(store: &PgFlowStore, row: &Row) -> Result<Arc<Definition>> {
    let hash: String = column(row, "flow_version")?;
    definition(store, &hash).await?.ok_or_else(|| Error::internal(format!("definition {hash} is missing")))
}

/// One statement, so that all parts are of one moment.
pub(super) async fn events(
    pool: &PgPool,
    run: RunId,
    after: i64,
    limit: usize,
) -> Result<(Vec<Event>, bool)> {
    let rows = pool
        .query(
            // The innermost limit comes first: what is larger than asked for is not even measured.
            "select e.number, e.kind, e.at, e.step, e.attempt, e.data,
                    (select r.event_seq from flow_run r where r.id = $1::uuid and r.finished_at is not null) as last
             from (select p.*, sum(octet_length(p.data::text)) over (order by p.number rows between unbounded preceding
                   and 1 preceding) as before
             from (select u.* from (
                select 1::bigint as number, 'run.queued' as kind, created_at as at, null::text as step,
                       null::int as attempt, null::json as data
                from flow_run where id = $1::uuid
                union all
                select 2, 'run.running', started_at, null, null, null
                from flow_run where id = $1::uuid and started_at is not null
                union all
                select started_event, 'step.started', started_at, name, attempt, json_build_object('task', task)
                from step where run_id = $1::uuid
                union all
                select finished_event, 'step.' || status, finished_at, name, attempt,
                       coalesce(error, json_build_object('duration_ms',
                           round(extract(epoch from finished_at - started_at) * 1000)::bigint))
                from step where run_id = $1::uuid and finished_event is not null
                union all
                select number, kind, at, step, attempt, data from event
                where run_id = $1::uuid and number > $2::bigint
                union all
                select event_seq, 'run.' || status, finished_at, null, null, error
                from flow_run where id = $1::uuid and finished_at is not null
             ) u
             where u.number > $2::bigint order by u.number limit $3::bigint) p) e
             where coalesce(e.before, 0) < $4::bigint order by e.number",
            &[&run.0, &after, &(limit as i64), &(EVENTS_BYTES as i64)],
        )
        .await?;
    let mut events = Vec::with_capacity(rows.len());
    let mut last = None;
    for row in &rows {
        let kind: String = column(row, "kind")?;
        last = column::<Option<i64>>(row, "last")?;
        events.push(Event {
            number: column(row, "number")?,
            kind: EventKind::parse(&kind)
                .ok_or_else(|| Error::internal(format!("unknown event {kind:?}")))?,
            at: column(row, "at")?,
            step: column(row, "step")?,
            attempt: column::<Option<i32>>(row, "attempt")?.map(|attempt| attempt as u32),
            data: column::<Option<Value>>(row, "data")?.unwrap_or(Value::Null),
        });
    }
    if events.is_empty() {
        let sql = "select 1 from flow_run where id = $1::uuid and finished_at is not null and event_seq <= $2::bigint";
        return Ok((events, pool.query_opt(sql, &[&run.0, &after]).await?.is_some()));
    }
    let done = last.is_some_and(|last| events.last().is_some_and(|event| event.number >= last));
    Ok((events, done))
}

pub(super) async fn standing(pool: &PgPool, run: &Run) -> Result<Standing> {
    let row = pool
        .query_opt(
            "select w.host,
                    -- A worker that gave its lease back was last heard of at -infinity.
                    case when isfinite(w.heartbeat_at) then extract(epoch from now() - w.heartbeat_at)::float8
                         when w.id is not null then 'infinity' end as heartbeat_age_s,
                    k.run_id as key_holder,
                    (select count(*) from flow_run q
                     where q.concurrency_key = r.concurrency_key and q.status in ('queued', 'undoing')
                       and q.owner is null and q.claimable_at is null and q.ticket < r.ticket) as ahead,
                    p.gate as limit_gate, l.at_once as limit_at_once,
                    (select count(*) from flow_place q
                     where q.gate = p.gate and not q.taken and q.ticket < p.ticket) as limit_ahead,
                    u.gate as pause_gate, u.since as pause_since, u.by_user as pause_by, u.reason as pause_reason,
                    (select e.data ->> 'message' from event e
                     where e.run_id = r.id and e.kind = 'progress' and e.step = $2::text
                     order by e.number desc limit 1) as doing,
                    (select count(*) from worker a
                     where a.heartbeat_at > now() - interval '5 seconds' and v.tasks <@ a.tasks
                       and (v.runs_on is null or v.runs_on = any(a.labels))
                       and (r.host is null or r.host = a.host_id
                            or r.cancel_forced and not exists (
                                select from worker o where o.host_id = r.host
                                  and o.heartbeat_at > now() - interval '5 seconds'))) as able
             from flow_run r
             join flow_version v on v.hash = r.flow_version
             left join worker w on w.id = r.owner
             left join concurrency_key k on k.key = r.concurrency_key and k.run_id <> r.id
             left join flow_place p on p.run_id = r.id and not p.taken
             left join flow_limit l on l.gate = p.gate
             left join lateral (select gate, since, by_user, reason from flow_pause
                                where gate in ('service', 'flow ' || r.flow) order by since limit 1) u on true
             where r.id = $1::uuid",
            &[&run.id.0, &run.current_step()],
        )
        .await?;
    let Some(row) = row else { return Ok(Standing::default()) };
    Ok(Standing {
        host: column(&row, "host")?,
        heartbeat_age_s: column::<Option<f64>>(&row, "heartbeat_age_s")?,
        key_holder: column::<Option<Uuid>>(&row, "key_holder")?.map(RunId),
        key_queue: column(&row, "ahead")?,
        limit: gates::limit_of(&row)?,
        pause: gates::pause_of(&row)?,
        doing: column(&row, "doing")?,
        able_workers: column(&row, "able")?,
    })
}
