//! Runs in memory: for speed in tests, and to say what the port means without SQL.

mod asks;
mod events;
mod gates;
mod known;
mod state;
mod trap;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::flows::event::Event;
use crate::flows::gate::{Gate, Pause};
use crate::flows::run::{Run, RunStatus};
use crate::flows::store::{Ack, Checkpoint, Created, FlowStore, NewRun, RunFilter, Signal, Standing, Worker};
use crate::{Cancel, Error, Result, RunId, WorkerId};
use async_trait::async_trait;
use tokio::sync::{Mutex as AsyncMutex, mpsc};

use state::State;
pub use trap::Kill;
use trap::Trap;
pub(super) use trap::effect;

pub struct MemoryFlowStore {
    state: Mutex<State>,
    trap: Arc<Trap>,
    tell: mpsc::UnboundedSender<Signal>,
    heard: AsyncMutex<mpsc::UnboundedReceiver<Signal>>,
}

impl Default for MemoryFlowStore {
    fn default() -> Self {
        let (tell, heard) = mpsc::unbounded_channel();
        Self { state: Mutex::default(), trap: Arc::default(), tell, heard: AsyncMutex::new(heard) }
    }
}

impl MemoryFlowStore {
    /// Whoever comes to this write of a run, or to this effect, stops there for ever, as if it had died; none: nobody.
    pub fn set_trap(&self, at: Option<(usize, Kill)>) {
        self.trap.set(at);
    }

    /// Writes of runs since the trap was set.
    pub fn writes(&self) -> usize {
        self.trap.writes()
    }

    /// Effects of tasks on the world since then, in the thread of [`MemoryFlowStore::watch_thread`].
    pub fn effects(&self) -> usize {
        self.trap.effects()
    }

    /// The tasks of the process on this thread are in the trap's reach.
    pub fn watch_thread(&self) {
        self.trap.watch_thread();
    }

    pub fn is_sprung(&self) -> bool {
        self.trap.is_sprung()
    }

    /// Ready once somebody is in the trap.
    pub async fn sprung(&self) {
        self.trap.sprung().await;
    }

    /// A run as it is, without waiting.
    pub fn run_now(&self, id: RunId) -> Option<Run> {
        self.state().run(id)
    }

    /// All events of a run.
    pub fn events_now(&self, id: RunId) -> Vec<Event> {
        self.state().all_events(id)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, signals: Vec<Signal>) {
        let more = std::mem::take(&mut self.state().signals);
        for signal in signals.into_iter().chain(more) {
            // The receiver lives as long as the store.
            let _ = self.tell.send(signal);
        }
    }
}

#[async_trait]
impl FlowStore for MemoryFlowStore {
    async fn create(&self, new: NewRun) -> Result<Created> {
        let kill = self.trap.begin().await;
        let (created, signals) = self.state().create(new);
        self.trap.end(kill).await;
        self.say(signals);
        Ok(created)
    }

    async fn checkpoint(&self, checkpoint: Checkpoint) -> Result<Ack> {
        let kill = self.trap.begin().await;
        let (ack, signals) = self.state().checkpoint(checkpoint);
        self.trap.end(kill).await;
        self.say(signals);
        Ok(ack)
    }

    async fn renew(&self, worker: &Worker) -> Result<()> {
        self.state().renew(worker);
        Ok(())
    }

    async fn retire(&self, worker: WorkerId) -> Result<()> {
        self.state().retire(worker);
        Ok(())
    }

    async fn claim(&self, worker: &Worker, limit: usize, abandoned: Option<Duration>) -> Result<Vec<Run>> {
        Ok(self.state().claim(worker, limit, abandoned))
    }

    async fn claim_one(&self, worker: &Worker, run: RunId) -> Result<Option<Run>> {
        Ok(self.state().claim_one(worker, run))
    }

    async fn next_due(&self) -> Result<Option<Duration>> {
        Ok(self.state().next_due())
    }

    async fn signal(&self) -> Signal {
        match self.heard.lock().await.recv().await {
            Some(signal) => signal,
            None => std::future::pending().await,
        }
    }

    async fn request_cancel(&self, run: RunId, how: Cancel) -> Result<Option<RunStatus>> {
        let (status, signals) = self.state().request_cancel(run, how);
        self.say(signals);
        Ok(status)
    }

    async fn cancels(&self, owner: WorkerId) -> Result<Vec<(RunId, Cancel)>> {
        Ok(self.state().cancels(owner))
    }

    async fn reopen(&self, checkpoint: Checkpoint) -> Result<Ack> {
        let (ack, signals) = self.state().reopen(checkpoint);
        self.say(signals);
        Ok(ack)
    }

    async fn supersede(&self, old: RunId, old_version: i64, new: NewRun) -> Result<Created> {
        let mut state = self.state();
        if !state.may_supersede(old, old_version) {
            return Err(Error::conflict("run.changed", "The run has changed meanwhile; look at it again."));
        }
        let id = new.run.id;
        let (created, signals) = state.create(new);
        if matches!(created, Created::Stored { .. }) {
            state.mark_superseded(old, id);
        }
        drop(state);
        self.say(signals);
        Ok(created)
    }

    async fn set_limits(&self, limits: &[(Gate, Option<u32>)]) -> Result<()> {
        self.state().set_limits(limits);
        self.say(Vec::new());
        Ok(())
    }

    async fn pause(&self, pause: Pause) -> Result<Pause> {
        let stands = self.state().pause(pause);
        self.say(Vec::new());
        Ok(stands)
    }

    async fn resume(&self, gate: &Gate) -> Result<bool> {
        let ended = self.state().resume(gate);
        self.say(Vec::new());
        Ok(ended)
    }

    async fn pauses(&self) -> Result<Vec<Pause>> {
        Ok(self.state().pauses.clone())
    }

    async fn wake_paused(&self) -> Result<()> {
        self.state().wake_paused();
        self.say(Vec::new());
        Ok(())
    }

    async fn under_way(&self, gate: &Gate) -> Result<i64> {
        Ok(self.state().under_way(gate))
    }

    async fn run(&self, id: RunId) -> Result<Option<Run>> {
        Ok(self.state().run(id))
    }

    async fn runs(&self, filter: &RunFilter) -> Result<Vec<Run>> {
        Ok(self.state().list(filter))
    }

    async fn events(&self, run: RunId, after: i64, limit: usize) -> Result<(Vec<Event>, bool)> {
        Ok(self.state().events(run, after, limit))
    }

    async fn standing(&self, run: &Run) -> Result<Standing> {
        Ok(self.state().standing(run))
    }
}
