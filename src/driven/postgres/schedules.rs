//! When each scheduled flow starts next.

use async_trait::async_trait;
use flow_domain::Result;
use flow_domain::flows::schedule::{Due, Schedules};
use jiff::Timestamp;

use super::pool::{PgPool, column};

const KEEP: &str = "
    insert into flow_schedule (flow, line, next_at) values ($1::text, $2::text, $3::timestamptz)
    on conflict (flow) do update set line = excluded.line, next_at = excluded.next_at
    where flow_schedule.line <> excluded.line";
const DUE: &str =
    "select flow, next_at from flow_schedule where next_at <= $1::timestamptz order by next_at, flow";
const MOVE_ON: &str = "
    update flow_schedule set next_at = $3::timestamptz
    where flow = $1::text and next_at = $2::timestamptz
    returning flow";

#[derive(Clone)]
pub struct PgSchedules {
    pool: PgPool,
}

impl PgSchedules {
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

#[async_trait]
impl Schedules for PgSchedules {
    async fn keep(&self, flow: &str, line: &str, first: Timestamp) -> Result<()> {
        self.pool.execute(KEEP, &[&flow, &line, &first]).await.map(drop)
    }

    async fn due(&self, now: Timestamp) -> Result<Vec<Due>> {
        let rows = self.pool.query(DUE, &[&now]).await?;
        rows.iter().map(|row| Ok(Due { flow: column(row, "flow")?, at: column(row, "next_at")? })).collect()
    }

    async fn move_on(&self, due: &Due, next: Timestamp) -> Result<bool> {
        let moved = self.pool.query(MOVE_ON, &[&due.flow, &due.at, &next]).await?;
        Ok(!moved.is_empty())
    }
}
