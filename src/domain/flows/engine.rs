//! Drives runs: asks a run what comes next, does it, makes it durable, until it is over.
//!
//! One process has one engine. HTTP, queue, schedule and worker hand it runs; it neither knows nor cares which. The
//! rules it keeps are settled in [`super::run`] (what follows what) and [`super::store`] (what is durable when).

mod attempt;
mod bounds;
mod lease;
mod live;
mod pauses;
mod plan;
mod recover;
mod reports;
mod secrets;
mod step;
mod submit;
mod undo;
mod work;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use lease::Lease;
pub use live::{Live, Watch};
pub use plan::{FlowPlan, PlannedStep};
pub use submit::Submitted;

use lease::RENEW_EVERY;
use pauses::Pauses;

use super::meters::FlowMeters;
use super::registry::Registry;
use super::run::{Next, Run, RunStatus};
use super::secret::Secrets;
use super::store::{Ack, FlowStore, Release, Worker};
use super::task::Task;
use crate::clock;
use crate::ports::Ports;
use crate::{CancelSignal, Error, Result};

/// A pause up to this long is slept through by the owner; a longer one lets the run go, so that it costs no memory.
const SHORT_PAUSE: Duration = Duration::from_secs(2);

/// Claims from dead owners at one step before the step is blamed for them.
const MOST_TAKEOVERS: i32 = 3;

/// The same where a step's work is a program of its own: that ends no process of ours, and goes on without one.
const MOST_TAKEOVERS_OF_PROGRAMS: i32 = 30;

/// Whether this step ends the processes that run it.
fn is_to_blame(run: &Run, task: &dyn Task) -> bool {
    let most = if task.pins_host() { MOST_TAKEOVERS_OF_PROGRAMS } else { MOST_TAKEOVERS };
    run.head.takeovers >= most
}

pub struct Engine {
    store: Arc<dyn FlowStore>,
    registry: Arc<Registry>,
    ports: Arc<Ports>,
    secrets: Arc<dyn Secrets>,
    worker: Worker,
    works: bool,
    leaves_children: bool,
    lease: Lease,
    live: Live,
    pauses: Pauses,
    /// Whether the service limits how many runs go on at once.
    limited: bool,
    /// Steps that may be under way at once in this process.
    slots: Semaphore,
    stopping: CancellationToken,
    drives: TaskTracker,
    meters: OnceLock<Arc<FlowMeters>>,
}

/// Why an engine lets go of a run that is not over.
enum Halt {
    /// Another process owns it, or will: its next owner goes on from the last checkpoint.
    Released,
    /// The store refused a write for good; the run is still this process's.
    Refused(Error),
}

/// What a process brings to its engine.
pub struct Setup {
    pub store: Arc<dyn FlowStore>,
    pub registry: Arc<Registry>,
    pub ports: Arc<Ports>,
    pub secrets: Arc<dyn Secrets>,
    pub worker: Worker,
    /// Drives runs itself; else it only stores them for others.
    pub works: bool,
    pub slots: usize,
    /// Whether the service limits how many runs go on at once; how many, its store knows.
    pub limited: bool,
    /// A stop leaves child processes running, for the next start to find; in a container they would die with it.
    pub leaves_children: bool,
}

impl Engine {
    pub fn new(setup: Setup) -> Arc<Self> {
        Arc::new(Self {
            store: setup.store,
            registry: setup.registry,
            ports: setup.ports,
            secrets: setup.secrets,
            worker: setup.worker,
            works: setup.works,
            leaves_children: setup.leaves_children,
            lease: Lease::default(),
            live: Live::default(),
            pauses: Pauses::default(),
            limited: setup.limited,
            slots: Semaphore::new(setup.slots),
            stopping: CancellationToken::new(),
            drives: TaskTracker::new(),
            meters: OnceLock::new(),
        })
    }

    pub fn live(&self) -> &Live {
        &self.live
    }

    /// Counts what it does there, from now on.
    pub fn count_in(&self, meters: Arc<FlowMeters>) {
        let _ = self.meters.set(meters);
    }

    /// Steps that may be started now.
    pub fn free_slots(&self) -> usize {
        self.slots.available_permits()
    }

    pub fn lease(&self) -> &Lease {
        &self.lease
    }

    async fn drive(&self, mut run: Run, cancel: CancelSignal) {
        log::info!(
            "run={} flow={} status={} epoch={}",
            run.id,
            run.definition.name,
            run.head.status.as_str(),
            run.head.epoch
        );
        self.recall(&mut run).await;
        let mut moved = Ok(());
        while moved.is_ok() && run.next() != Next::Nothing {
            moved = match self.advance(&mut run, &cancel).await {
                Err(Halt::Refused(error)) => self.make_good(&mut run, &error).await,
                moved => moved,
            };
        }
        self.close(run, moved.is_ok());
    }

    /// One move, durable when it returns.
    async fn advance(&self, run: &mut Run, cancel: &CancelSignal) -> Result<(), Halt> {
        self.heed(run, cancel).await?;
        match run.next() {
            Next::Start(index) => self.start(run, index, cancel).await,
            Next::Resume(position) => self.resume(run, position, cancel).await,
            Next::Undo(position) => self.undo(run, position).await,
            Next::Nothing => Ok(()),
        }
    }

    /// Before each move: the lease is held, the run is this machine's, the cancel heard, the pause slept through.
    async fn heed(&self, run: &mut Run, cancel: &CancelSignal) -> Result<(), Halt> {
        self.lease.held().await;
        if run.head.host_id.as_ref().is_some_and(|host| *host != self.worker.host_id) {
            // A store gives a run away from its machine only when that is dead and the cancel was forced.
            run.leave_host(clock::now());
            self.settle(run).await?;
        }
        let turns = cancel.is_cancelled() && run.head.status != RunStatus::Undoing;
        // A cancelled run has nothing to wait for: let go for its pause, it would be claimed again at once.
        if let Some(wake_at) = run.head.wake_at.filter(|_| !turns) {
            self.pause(run, wake_at, cancel).await?;
        }
        if self.stopping.is_cancelled() && !run.head.status.is_final() {
            return Err(self.park(run).await);
        }
        if cancel.is_cancelled() && !run.head.status.is_final() && run.head.status != RunStatus::Undoing {
            run.cancel(clock::now());
            self.settle(run).await?;
        }
        if self.is_held_up(run) { Err(self.hold(run).await) } else { Ok(()) }
    }

    /// Sleeps through a short pause; lets the run go for a longer one.
    async fn pause(&self, run: &mut Run, wake_at: Timestamp, cancel: &CancelSignal) -> Result<(), Halt> {
        let left = left_until(wake_at);
        let undoing = run.head.status == RunStatus::Undoing;
        if left > SHORT_PAUSE {
            self.save(run, Some(Release::At(wake_at))).await?;
            return Err(Halt::Released);
        }
        tokio::select! {
            () = tokio::time::sleep(left) => run.wake(clock::now()),
            () = cancel.cancelled(), if !undoing => {}
            () = self.stopping.cancelled() => {}
        }
        Ok(())
    }

    /// Makes a transition durable: with the run's end the run is let go, a long pause lets it go as well.
    async fn settle(&self, run: &mut Run) -> Result<(), Halt> {
        let release = run.head.status.is_final().then_some(Release::Final);
        let long = run.head.wake_at.filter(|at| left_until(*at) > SHORT_PAUSE);
        match (release, long) {
            (None, Some(wake_at)) => {
                self.save(run, Some(Release::At(wake_at))).await?;
                Err(Halt::Released)
            }
            (release, _) => self.save(run, release).await,
        }
    }

    /// One fenced write of all that changed.
    async fn save(&self, run: &mut Run, release: Option<Release>) -> Result<(), Halt> {
        match self.store.checkpoint(run.checkpoint(self.worker.id, release)).await {
            Ok(Ack::Stored { cancel }) => {
                self.live.changed(run.id, cancel);
                Ok(())
            }
            Ok(Ack::Fenced) => {
                log::warn!("run={} fenced: another process owns it", run.id);
                Err(Halt::Released)
            }
            Err(error) => Err(Halt::Refused(error)),
        }
    }

    /// Gives a run back in the middle of a step: its next owner resumes it.
    async fn park(&self, run: &mut Run) -> Halt {
        let at = run.head.wake_at.unwrap_or_else(clock::now);
        match self.save(run, Some(Release::At(at))).await {
            Ok(()) => Halt::Released,
            Err(halt) => halt,
        }
    }

    /// The store refused what a step wrote. The step pays for it: the run is read again as it stands and the step
    /// that was under way fails. While this process owns the run nobody else drives it, so it does not give up.
    async fn make_good(&self, run: &mut Run, error: &Error) -> Result<(), Halt> {
        log::error!("run={} checkpoint refused: {error}", run.id);
        loop {
            match self.store.run(run.id).await {
                Ok(Some(stored)) if self.owns(&stored, run.head.epoch) => {
                    // What it was given must be known still when its steps are taken back.
                    let given = std::mem::take(&mut run.given);
                    *run = stored;
                    run.given = given;
                    run.refuse(clock::now());
                    match self.settle(run).await {
                        Err(Halt::Refused(error)) => log::error!("run={} refused again: {error}", run.id),
                        moved => return moved,
                    }
                }
                Ok(_) => return Err(Halt::Released),
                Err(error) => log::warn!("run={} could not be read after the refusal: {error}", run.id),
            }
            tokio::select! {
                () = tokio::time::sleep(RENEW_EVERY) => self.lease.held().await,
                () = self.stopping.cancelled() => return Err(Halt::Released),
            }
        }
    }

    fn owns(&self, stored: &Run, epoch: i64) -> bool {
        stored.head.owner == Some(self.worker.id) && stored.head.epoch == epoch
    }

    fn close(&self, run: Run, ended: bool) {
        if ended {
            let ms = run.head.finished_at.map_or(0, |end| end.duration_since(run.created_at).as_millis());
            let (name, status) = (&run.definition.name, run.head.status.as_str());
            log::info!("run={} flow={name} status={status} ms={ms}", run.id);
            if let Some(meters) = self.meters.get() {
                meters.run_ended(name, run.head.status, Duration::from_millis(ms.max(0) as u64));
            }
        }
        self.live.close(run, ended);
    }
}

fn left_until(at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(clock::now())).unwrap_or_default()
}
