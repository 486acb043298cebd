//! How far learners are in tutorials.

use async_trait::async_trait;
use flow_domain::labs::{Look, StepChecks, StepState};
use flow_domain::{Error, Result, SessionId};
use tokio_postgres::Row;

use super::error;
use super::pool::{PgPool, column, execute};

/// The same run's look is kept once.
const KEEP: &str = "
    insert into session_step as known (session_id, step, passed, passed_at, message, last_run)
    values ($1::uuid, $2::integer, $3::boolean, case when $3::boolean then now() end, $4::text, $5::uuid)
    on conflict (session_id, step) do update set
        passed = excluded.passed,
        passed_at = coalesce(known.passed_at, excluded.passed_at),
        message = excluded.message,
        checked_at = now(),
        checks = known.checks + 1,
        last_run = excluded.last_run
    where known.last_run <> excluded.last_run";
const NOTE: &str = "
    select note_session($1::uuid, case when $3::boolean then 'step.passed' else 'step.open' end, 'step ' || $5::text,
        jsonb_build_object('step', $2::integer, 'passed', $3::boolean, 'message', $4::text))";
const OF_SESSION: &str = "
    select step, passed_at, checked_at, passed, message, checks
    from session_step where session_id = $1::uuid order by step";

#[derive(Clone)]
pub struct PgStepChecks {
    pool: PgPool,
}

impl PgStepChecks {
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

#[async_trait]
impl StepChecks for PgStepChecks {
    async fn keep(&self, look: &Look) -> Result<()> {
        let step = i32::try_from(look.step).map_err(Error::internal)?;
        let mut client = self.pool.client().await?;
        let transaction = client.transaction().await.map_err(error::from)?;
        let values = [&look.session.0 as &(dyn tokio_postgres::types::ToSql + Sync), &step, &look.passed];
        execute(&transaction, KEEP, &[values[0], values[1], values[2], &look.message, &look.run.0]).await?;
        let run = look.run.to_string();
        execute(&transaction, NOTE, &[values[0], values[1], values[2], &look.message, &run]).await?;
        transaction.commit().await.map_err(error::from)
    }

    async fn of_session(&self, session: SessionId) -> Result<Vec<StepState>> {
        self.pool.query(OF_SESSION, &[&session.0]).await?.iter().map(state).collect()
    }
}

fn state(row: &Row) -> Result<StepState> {
    let count = |name| u32::try_from(column::<i32>(row, name)?).map_err(Error::internal);
    Ok(StepState {
        step: count("step")?,
        passed_at: column(row, "passed_at")?,
        checked_at: column(row, "checked_at")?,
        passed: column(row, "passed")?,
        message: column(row, "message")?,
        checks: count("checks")?,
    })
}
