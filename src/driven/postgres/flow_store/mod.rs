//! Runs in PostgreSQL.
//!
//! Checkpoints and plain inserts go through one `writer` on a connection of its own; claims, reads and the rest go
//! through the pool; `signals` listens on a third connection. So a busy pool never delays a checkpoint or a lease.

mod asks;
mod claims;
mod definitions;
mod gates;
mod inserts;
mod reads;
mod rows;
mod signals;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use flow_domain::flows::event::Event;
use flow_domain::flows::gate::{Gate, Pause};
use flow_domain::flows::run::{Run, RunStatus};
use flow_domain::flows::store::{
    Ack, Checkpoint, Created, EVENT_SCOPE, FlowStore, NewRun, RunFilter, Signal, Standing, Worker,
};
use flow_domain::{Cancel, Result, RunId, WorkerId};
use tokio_postgres::Config;

use super::meters::BatchMeters;
use super::pool::{PgPool, column};
use definitions::Definitions;
use signals::Signals;
use writer::Writer;

pub struct PgFlowStore {
    pool: PgPool,
    /// For leases alone: a renewal never waits behind a request.
    lease_pool: PgPool,
    writer: Writer,
    /// What the writer wrote.
    pub batches: Arc<BatchMeters>,
    signals: Signals,
    definitions: Definitions,
    /// Tells all processes of a new run that its creator did not claim.
    announces: bool,
}

impl PgFlowStore {
    /// `config` is used for the connections outside the pool; it carries the session's settings already.
    pub fn new(pool: PgPool, lease_pool: PgPool, config: &Config) -> Self {
        let batches = Arc::<BatchMeters>::default();
        Self {
            pool,
            lease_pool,
            writer: Writer::start(config.clone(), batches.clone()),
            batches,
            signals: Signals::start(config.clone()),
            definitions: Definitions::default(),
            announces: true,
        }
    }

    /// New runs are handed out by another way: not all processes are told of each.
    pub fn handed_out_elsewhere(self) -> Self {
        Self { announces: false, ..self }
    }

    /// Makes the partitions of the weeks to come, and forgets what is needed no more: keys of requests after a day,
    /// and processes that ended and own nothing.
    pub async fn upkeep(&self) -> Result<()> {
        self.definitions.forget();
        self.pool.execute("select flow_ensure_partitions()", &[]).await?;
        let keys = "delete from idempotency_key
                    where created_at < now() - case when starts_with(scope, $1::text) then interval '30 days'
                                                    else interval '24 hours' end";
        self.pool.execute(keys, &[&EVENT_SCOPE]).await?;
        let workers = "delete from worker w where w.heartbeat_at < now() - interval '24 hours'
                       and not exists (select from flow_run r where r.owner = w.id)";
        self.pool.execute(workers, &[]).await.map(|_| ())
    }

    /// Drops runs that ended longer ago than `days`, a week of starts at a time; the Mondays of the weeks that went.
    /// Definitions that no run has any more go with them.
    pub async fn drop_weeks(&self, days: i32) -> Result<Vec<String>> {
        const DROP: &str = "select week from flow_drop_week(make_interval(days => $1::int)) as week
                            where week is not null";
        let mut dropped = Vec::new();
        while let Some(row) = self.pool.query_opt(DROP, &[&days]).await? {
            dropped.push(column(&row, "week")?);
        }
        if !dropped.is_empty() {
            self.pool.query("select flow_forget_versions()", &[]).await?;
        }
        Ok(dropped)
    }
}

#[async_trait]
impl FlowStore for PgFlowStore {
    async fn create(&self, new: NewRun) -> Result<Created> {
        inserts::create(self, new).await
    }

    async fn checkpoint(&self, checkpoint: Checkpoint) -> Result<Ack> {
        self.writer.checkpoint(checkpoint).await
    }

    async fn renew(&self, worker: &Worker) -> Result<()> {
        claims::renew(&self.lease_pool, worker).await
    }

    async fn retire(&self, worker: WorkerId) -> Result<()> {
        claims::retire(&self.lease_pool, worker).await
    }

    async fn claim(&self, worker: &Worker, limit: usize, abandoned: Option<Duration>) -> Result<Vec<Run>> {
        claims::claim(self, worker, limit, abandoned).await
    }

    async fn claim_one(&self, worker: &Worker, run: RunId) -> Result<Option<Run>> {
        claims::claim_one(self, worker, run).await
    }

    async fn next_due(&self) -> Result<Option<Duration>> {
        claims::next_due(&self.pool).await
    }

    async fn signal(&self) -> Signal {
        self.signals.next().await
    }

    async fn request_cancel(&self, run: RunId, how: Cancel) -> Result<Option<RunStatus>> {
        asks::request_cancel(&self.pool, run, how).await
    }

    async fn cancels(&self, owner: WorkerId) -> Result<Vec<(RunId, Cancel)>> {
        asks::cancels(&self.pool, owner).await
    }

    async fn reopen(&self, checkpoint: Checkpoint) -> Result<Ack> {
        asks::reopen(&self.pool, checkpoint).await
    }

    async fn supersede(&self, old: RunId, old_version: i64, new: NewRun) -> Result<Created> {
        inserts::supersede(self, old, old_version, new).await
    }

    async fn set_limits(&self, limits: &[(Gate, Option<u32>)]) -> Result<()> {
        gates::set_limits(&self.pool, limits).await
    }

    async fn pause(&self, pause: Pause) -> Result<Pause> {
        gates::pause(&self.pool, pause).await
    }

    async fn resume(&self, gate: &Gate) -> Result<bool> {
        gates::resume(&self.pool, gate).await
    }

    async fn pauses(&self) -> Result<Vec<Pause>> {
        gates::pauses(&self.pool).await
    }

    async fn wake_paused(&self) -> Result<()> {
        gates::wake_paused(&self.pool).await
    }

    async fn under_way(&self, gate: &Gate) -> Result<i64> {
        gates::under_way(&self.pool, gate).await
    }

    async fn run(&self, id: RunId) -> Result<Option<Run>> {
        reads::run(self, id).await
    }

    async fn runs(&self, filter: &RunFilter) -> Result<Vec<Run>> {
        reads::runs(self, filter).await
    }

    async fn events(&self, run: RunId, after: i64, limit: usize) -> Result<(Vec<Event>, bool)> {
        reads::events(&self.pool, run, after, limit).await
    }

    async fn standing(&self, run: &Run) -> Result<Standing> {
        reads::standing(&self.pool, run).await
    }
}
