//! A store that counts checkpoints and what they carry, and says no when it is told to.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use flow_domain::flows::event::Event;
use flow_domain::flows::gate::{Gate, Pause};
use flow_domain::flows::run::{Run, RunStatus};
use flow_domain::flows::store::{
    Ack, Checkpoint, Created, FlowStore, NewRun, RunFilter, Signal, Standing, Worker,
};
use flow_domain::{Cancel, Error, Result, RunId, WorkerId};
use flow_manager::driven::memory::MemoryFlowStore;

#[derive(Default)]
pub struct CountingStore {
    inner: MemoryFlowStore,
    /// The step names of each checkpoint.
    pub written: Mutex<Vec<Vec<String>>>,
    /// So many checkpoints will be refused.
    pub refusals: AtomicUsize,
    /// So many reads of a run will fail.
    pub unreadable: AtomicUsize,
}

fn one_less(count: &AtomicUsize) -> bool {
    count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

#[async_trait]
impl FlowStore for CountingStore {
    async fn create(&self, new: NewRun) -> Result<Created> {
        self.inner.create(new).await
    }

    async fn checkpoint(&self, checkpoint: Checkpoint) -> Result<Ack> {
        if one_less(&self.refusals) {
            return Err(Error::internal("this row cannot be stored"));
        }
        let names = checkpoint.steps.iter().map(|step| step.name.clone()).collect();
        self.written.lock().unwrap().push(names);
        self.inner.checkpoint(checkpoint).await
    }

    async fn renew(&self, worker: &Worker) -> Result<()> {
        self.inner.renew(worker).await
    }

    async fn retire(&self, worker: WorkerId) -> Result<()> {
        self.inner.retire(worker).await
    }

    async fn claim(&self, worker: &Worker, limit: usize, abandoned: Option<Duration>) -> Result<Vec<Run>> {
        self.inner.claim(worker, limit, abandoned).await
    }

    async fn claim_one(&self, worker: &Worker, run: RunId) -> Result<Option<Run>> {
        self.inner.claim_one(worker, run).await
    }
    async fn next_due(&self) -> Result<Option<Duration>> {
        self.inner.next_due().await
    }

    async fn signal(&self) -> Signal {
        self.inner.signal().await
    }

    async fn request_cancel(&self, run: RunId, how: Cancel) -> Result<Option<RunStatus>> {
        self.inner.request_cancel(run, how).await
    }

    async fn cancels(&self, owner: WorkerId) -> Result<Vec<(RunId, Cancel)>> {
        self.inner.cancels(owner).await
    }

    async fn reopen(&self, checkpoint: Checkpoint) -> Result<Ack> {
        self.inner.reopen(checkpoint).await
    }

    async fn supersede(&self, old: RunId, old_version: i64, new: NewRun) -> Result<Created> {
        self.inner.supersede(old, old_version, new).await
    }

    async fn set_limits(&self, limits: &[(Gate, Option<u32>)]) -> Result<()> {
        self.inner.set_limits(limits).await
    }

    async fn pause(&self, pause: Pause) -> Result<Pause> {
        self.inner.pause(pause).await
    }

    async fn resume(&self, gate: &Gate) -> Result<bool> {
        self.inner.resume(gate).await
    }

    async fn pauses(&self) -> Result<Vec<Pause>> {
        self.inner.pauses().await
    }

    async fn wake_paused(&self) -> Result<()> {
        self.inner.wake_paused().await
    }

    async fn under_way(&self, gate: &Gate) -> Result<i64> {
        self.inner.under_way(gate).await
    }

    async fn run(&self, id: RunId) -> Result<Option<Run>> {
        match one_less(&self.unreadable) {
            true => Err(Error::unavailable("database.unavailable", "The database is away.")),
            false => self.inner.run(id).await,
        }
    }

    async fn runs(&self, filter: &RunFilter) -> Result<Vec<Run>> {
        self.inner.runs(filter).await
    }

    async fn events(&self, run: RunId, after: i64, limit: usize) -> Result<(Vec<Event>, bool)> {
        self.inner.events(run, after, limit).await
    }

    async fn standing(&self, run: &Run) -> Result<Standing> {
        self.inner.standing(run).await
    }
}
