//! Runs in memory: for speed in tests, and to say what the port means without SQL.

mod asks;
mod events;
mod gates;
mod state;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::flows::event::Event;
use crate::flows::gate::{Gate, Pause};
use crate::flows::run::{Run, RunStatus};
use crate::flows::store::{Ack, Checkpoint, Created, FlowStore, NewRun, RunFilter, Signal, Standing, Worker};
use crate::{Cancel, Error, Result, RunId, WorkerId};
use async_trait::async_trait;
use tokio::sync::{Mutex as AsyncMutex, mpsc};

use state::State;

pub struct MemoryFlowStore {
    state: Mutex<State>,
    tell: mpsc::UnboundedSender<Signal>,
    heard: AsyncMutex<mpsc::UnboundedReceiver<Signal>>,
}

impl Default for MemoryFlowStore {
    fn default() -> Self {
        let (tell, heard) = mpsc::unbounded_channel();
        Self { state: Mutex::default(), tell, heard: AsyncMutex::new(heard) }
    }
}

impl MemoryFlowStore {
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
        let (created, signals) = self.state().create(new);
        self.say(signals);
        Ok(created)
    }

    async fn checkpoint(&self, checkpoint: Checkpoint) -> Result<Ack> {
        let (ack, signals) = self.state().checkpoint(checkpoint);
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
