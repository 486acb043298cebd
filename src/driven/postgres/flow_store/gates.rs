//! Limits and pauses. Places at limits are given out by functions of the database, so that the end of a run and the
//! beginning of the next are one commit.

use deadpool_postgres::GenericClient;
use flow_domain::flows::gate::{Gate, LimitQueue, Pause};
use flow_domain::flows::run::Run;
use flow_domain::{Error, Result, RunId, UserId};
use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::driven::postgres::error;
use crate::driven::postgres::pool::{PgPool, column, execute, query, query_opt};

/// When a run that waits for the end of a pause may be claimed; `flow_wake_paused` knows it too.
pub(super) fn parked() -> Timestamp {
    const YEAR_9999: i64 = 253_370_764_800;
    Timestamp::from_second(YEAR_9999).unwrap_or(Timestamp::MAX)
}

pub(super) async fn set_limits(pool: &PgPool, limits: &[(Gate, Option<u32>)]) -> Result<()> {
    for (gate, most) in limits {
        let most = most.map(|most| i32::try_from(most).unwrap_or(i32::MAX));
        pool.query("select flow_set_limit($1::text, $2::int)", &[&gate.to_string(), &most]).await?;
    }
    Ok(())
}

/// Lets a new run, or one that goes back to work, through its gates; whether it has passed them all.
pub(super) async fn enter(client: &impl GenericClient, run: &Run) -> Result<bool> {
    if run.gates.is_empty() {
        return Ok(true);
    }
    // A retry has the definition of the old run; what its flow says today stands.
    if let (Some(most), None) = (run.definition.at_once, run.parent) {
        let gate = Gate::Flow(run.definition.name.clone()).to_string();
        let keep = "insert into flow_limit (gate, at_once) values ($1::text, $2::int)
                    on conflict (gate) do update set at_once = excluded.at_once";
        execute(client, keep, &[&gate, &(most as i32)]).await?;
    }
    pass(client, run.id, &names(run)).await
}

pub(super) async fn pass(client: &impl GenericClient, run: RunId, gates: &[String]) -> Result<bool> {
    let row =
        query_opt(client, "select flow_enter($1::uuid, $2::text[]) as passed", &[&run.0, &gates]).await?;
    row.map_or(Ok(true), |row| column(&row, "passed"))
}

pub(super) fn names(run: &Run) -> Vec<String> {
    run.gates.iter().map(Gate::to_string).collect()
}

pub(super) fn gates_of(row: &Row) -> Result<Vec<Gate>> {
    let names: Option<Vec<String>> = column(row, "gates")?;
    names.into_iter().flatten().map(|name| gate(&name)).collect()
}

fn gate(name: &str) -> Result<Gate> {
    Gate::parse(name).ok_or_else(|| Error::internal(format!("unknown gate {name:?} in the database")))
}

pub(super) async fn pause(pool: &PgPool, pause: Pause) -> Result<Pause> {
    let mut client = pool.client().await?;
    let transaction = client.transaction().await.map_err(error::from)?;
    let kept = query(
        &transaction,
        "insert into flow_pause (gate, by_user, reason) values ($1::text, $2::uuid, $3::text)
         on conflict (gate) do update set gate = excluded.gate
         returning gate, since, by_user, reason",
        &[&pause.gate.to_string(), &pause.by.0, &pause.reason],
    )
    .await?;
    execute(&transaction, "select pg_notify('flow_signal', 'pauses')", &[]).await?;
    transaction.commit().await.map_err(error::from)?;
    kept.first().map_or_else(|| Err(Error::internal("a pause went away under us")), read)
}

pub(super) async fn resume(pool: &PgPool, gate: &Gate) -> Result<bool> {
    let mut client = pool.client().await?;
    let transaction = client.transaction().await.map_err(error::from)?;
    let delete = "delete from flow_pause where gate = $1::text";
    let ended = execute(&transaction, delete, &[&gate.to_string()]).await? > 0;
    execute(&transaction, "select flow_wake_paused(), pg_notify('flow_signal', 'pauses')", &[]).await?;
    transaction.commit().await.map_err(error::from)?;
    Ok(ended)
}

pub(super) async fn pauses(pool: &PgPool) -> Result<Vec<Pause>> {
    let rows =
        pool.query("select gate, since, by_user, reason from flow_pause order by since, gate", &[]).await?;
    rows.iter().map(read).collect()
}

pub(super) async fn wake_paused(pool: &PgPool) -> Result<()> {
    pool.query("select flow_wake_paused()", &[]).await.map(drop)
}

pub(super) async fn under_way(pool: &PgPool, gate: &Gate) -> Result<i64> {
    let sql = "select count(*) as runs from flow_run
               where owner is not null and ($1::text is null or flow = $1::text)";
    let row = pool.query_opt(sql, &[&gate.flow()]).await?;
    row.map_or(Ok(0), |row| column(&row, "runs"))
}

fn read(row: &Row) -> Result<Pause> {
    Ok(Pause {
        gate: gate(&column::<String>(row, "gate")?)?,
        since: column(row, "since")?,
        by: UserId(column::<Uuid>(row, "by_user")?),
        reason: column(row, "reason")?,
    })
}

/// Of a row of `standing`: the limit that the run waits at.
pub(super) fn limit_of(row: &Row) -> Result<Option<LimitQueue>> {
    let (Some(name), Some(at_once)) =
        (column::<Option<String>>(row, "limit_gate")?, column::<Option<i32>>(row, "limit_at_once")?)
    else {
        return Ok(None);
    };
    Ok(Some(LimitQueue { gate: gate(&name)?, at_once: at_once.into(), ahead: column(row, "limit_ahead")? }))
}

/// Of a row of `standing`: the run's oldest pause.
pub(super) fn pause_of(row: &Row) -> Result<Option<Pause>> {
    let Some(name) = column::<Option<String>>(row, "pause_gate")? else { return Ok(None) };
    Ok(Some(Pause {
        gate: gate(&name)?,
        since: column(row, "pause_since")?,
        by: UserId(column::<Uuid>(row, "pause_by")?),
        reason: column(row, "pause_reason")?,
    }))
}
