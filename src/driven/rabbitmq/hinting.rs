//! A store of runs whose new runs are handed out by hints.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use flow_domain::flows::FlowStore;
use flow_domain::flows::event::Event;
use flow_domain::flows::gate::{Gate, Pause};
use flow_domain::flows::run::{Run, RunStatus};
use flow_domain::flows::store::{Ack, Checkpoint, Created, NewRun, RunFilter, Signal, Standing, Worker};
use flow_domain::{Cancel, Result, RunId, WorkerId};

use super::hints::Hints;

pub struct HintingFlowStore {
    pub store: Arc<dyn FlowStore>,
    pub hints: Hints,
}

impl HintingFlowStore {
    /// A run that waits for its key is handed on by the store, when the key comes free.
    fn hint(&self, run: RunId, label: Option<String>, keyed: bool, created: &Created) {
        if matches!(created, Created::Stored { claimed: false }) && !keyed {
            self.hints.give(run, label);
        }
    }
}

#[async_trait]
impl FlowStore for HintingFlowStore {
    async fn create(&self, new: NewRun) -> Result<Created> {
        let (run, label) = (new.run.id, new.run.definition.runs_on.clone());
        // Then it was not claimed because others go first.
        let keyed = new.claim && waits_in_turn(&new.run);
        let created = self.store.create(new).await?;
        self.hint(run, label, keyed, &created);
        Ok(created)
    }

    async fn supersede(&self, old: RunId, old_version: i64, new: NewRun) -> Result<Created> {
        let (run, label) = (new.run.id, new.run.definition.runs_on.clone());
        let keyed = new.claim && waits_in_turn(&new.run);
        let created = self.store.supersede(old, old_version, new).await?;
        self.hint(run, label, keyed, &created);
        Ok(created)
    }

    async fn signal(&self) -> Signal {
        tokio::select! {
            signal = self.store.signal() => signal,
            run = self.hints.next() => Signal::Offered(run),
        }
    }

    async fn checkpoint(&self, checkpoint: Checkpoint) -> Result<Ack> {
        self.store.checkpoint(checkpoint).await
    }

    async fn renew(&self, worker: &Worker) -> Result<()> {
        self.store.renew(worker).await
    }

    async fn retire(&self, worker: WorkerId) -> Result<()> {
        self.store.retire(worker).await
    }

    async fn claim(&self, worker: &Worker, limit: usize, abandoned: Option<Duration>) -> Result<Vec<Run>> {
        self.store.claim(worker, limit, abandoned).await
    }

    async fn claim_one(&self, worker: &Worker, run: RunId) -> Result<Option<Run>> {
        self.store.claim_one(worker, run).await
    }

    async fn next_due(&self) -> Result<Option<Duration>> {
        self.store.next_due().await
    }

    async fn request_cancel(&self, run: RunId, how: Cancel) -> Result<Option<RunStatus>> {
        self.store.request_cancel(run, how).await
    }

    async fn cancels(&self, owner: WorkerId) -> Result<Vec<(RunId, Cancel)>> {
        self.store.cancels(owner).await
    }

    async fn reopen(&self, checkpoint: Checkpoint) -> Result<Ack> {
        self.store.reopen(checkpoint).await
    }

    async fn set_limits(&self, limits: &[(Gate, Option<u32>)]) -> Result<()> {
        self.store.set_limits(limits).await
    }

    async fn pause(&self, pause: Pause) -> Result<Pause> {
        self.store.pause(pause).await
    }

    async fn resume(&self, gate: &Gate) -> Result<bool> {
        self.store.resume(gate).await
    }

    async fn pauses(&self) -> Result<Vec<Pause>> {
        self.store.pauses().await
    }

    async fn wake_paused(&self) -> Result<()> {
        self.store.wake_paused().await
    }

    async fn under_way(&self, gate: &Gate) -> Result<i64> {
        self.store.under_way(gate).await
    }

    async fn run(&self, id: RunId) -> Result<Option<Run>> {
        self.store.run(id).await
    }

    async fn runs(&self, filter: &RunFilter) -> Result<Vec<Run>> {
        self.store.runs(filter).await
    }

    async fn events(&self, run: RunId, after: i64, limit: usize) -> Result<(Vec<Event>, bool)> {
        self.store.events(run, after, limit).await
    }

    async fn standing(&self, run: &Run) -> Result<Standing> {
        self.store.standing(run).await
    }
}

/// Whether others may have to end before it: its key's holder, or those who go on where it may not yet.
fn waits_in_turn(run: &Run) -> bool {
    run.concurrency_key.is_some() || !run.gates.is_empty()
}
