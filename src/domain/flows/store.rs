//! The port behind which runs are kept. PostgreSQL and the memory adapter pass one contract suite.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::event::Event;
use super::gate::{Gate, LimitQueue, Pause};
use super::run::{Head, Run, RunStatus};
use super::step::Step;
use crate::{Cancel, Result, RunId, UserId, WorkerId};

/// One fenced write: what changed in one run since the last.
///
/// It is stored whole or not at all, and only while the run still has this owner, epoch and version.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    pub run: RunId,
    pub owner: WorkerId,
    pub epoch: i64,
    /// The version the run has in the store; this write makes it one more.
    pub version: i64,
    pub head: Head,
    pub steps: Vec<Step>,
    /// How many of `steps`, the first ones, the store has already; the others are new to it.
    pub known_steps: usize,
    pub events: Vec<Event>,
    /// Set when this write lets the run go: nobody owns it after it.
    pub release: Option<Release>,
    /// The run holds this key and its end hands it on.
    pub concurrency_key: Option<String>,
    /// The run counts against limits, and its end makes room for another.
    pub leaves: bool,
}

/// What a released run waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// Nothing: it is final.
    Final,
    /// Anyone may take it from this time on.
    At(Timestamp),
    /// The end of a pause.
    Paused,
}

/// What the store answers to a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ack {
    Stored {
        /// The cancel that was asked for by now, if one was.
        cancel: Option<Cancel>,
    },
    /// The run has another owner, epoch or version: whoever wrote this no longer drives it.
    Fenced,
}

/// A run to be stored for the first time.
#[derive(Clone, Debug)]
pub struct NewRun {
    pub run: Run,
    /// The first claim rides along: the run has an owner from its first moment and nobody is told of it.
    pub claim: bool,
    pub idempotency: Option<Idempotency>,
}

/// What the scopes of events' keys begin with. An event may come again for as long as it is a dead letter, so these are
/// kept for 30 days.
pub const EVENT_SCOPE: &str = "event ";

/// A caller's key for one request, kept for 24 h.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    pub caller: UserId,
    /// Method and path.
    pub scope: String,
    pub key: String,
    /// SHA-256 of the body, hexadecimal.
    pub body_sha256: String,
}

#[derive(Clone, Debug)]
pub enum Created {
    /// Stored. `claimed` is false when its concurrency key is held by another run, or as many go on as may.
    Stored { claimed: bool },
    /// The key was used before, with the same body: that run.
    Replayed(RunId),
    /// The key was used before, with another body.
    KeyReused,
}

/// What a process tells of itself.
#[derive(Clone, Debug)]
pub struct Worker {
    pub id: WorkerId,
    /// Name of the machine, for people.
    pub host: String,
    /// Identifies the machine's state directory, where child processes and files live; outlives the process.
    pub host_id: String,
    /// `runs_on` labels it takes.
    pub labels: Vec<String>,
    /// Tasks it has: it takes no run that needs another.
    pub tasks: Vec<String>,
}

/// Which runs to list, newest first.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// Only this user's.
    pub caller: Option<UserId>,
    pub status: Option<RunStatus>,
    pub flow: Option<String>,
    /// Only runs older than this one.
    pub before: Option<RunId>,
    pub limit: usize,
}

/// Facts that only the store knows, for `why`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    /// The machine of the owner.
    pub host: Option<String>,
    /// Seconds since the owner was last heard of.
    pub heartbeat_age_s: Option<f64>,
    /// The run that holds the concurrency key this one waits for.
    pub key_holder: Option<RunId>,
    /// How many runs stand before this one for the key.
    pub key_queue: i64,
    /// The limit that this run waits at.
    pub limit: Option<LimitQueue>,
    /// The oldest pause that is this run's, if one is.
    pub pause: Option<Pause>,
    /// What the step under way last said of its progress.
    pub doing: Option<String>,
    /// Live processes that have all tasks, the label and the machine this run needs.
    pub able_workers: i64,
}

/// What a process hears from the store while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// There may be a run to claim.
    Claimable,
    /// This run waits to be claimed, and this process was chosen to do it.
    Offered(RunId),
    /// This run was asked to cancel.
    Cancel(RunId, Cancel),
    /// There are other pauses than before.
    Pauses,
    /// What was told for a while was not heard: all there may be is to be looked for.
    Missed,
}

/// No more events are given at once than fill this; the last may go over it.
pub const EVENTS_BYTES: usize = 64 << 10;

/// Where runs are kept.
///
/// An implementer guarantees: a checkpoint is atomic and fenced; what `checkpoint` acknowledged is durable; a call
/// that cannot reach the store waits and tries again rather than lose a write, until the process is fenced or
/// stopped; times of leases and claims are the store's clock, not the process's.
#[async_trait]
pub trait FlowStore: Send + Sync {
    async fn create(&self, new: NewRun) -> Result<Created>;
    async fn checkpoint(&self, checkpoint: Checkpoint) -> Result<Ack>;

    /// Renews the process's lease. The first call makes it known.
    async fn renew(&self, worker: &Worker) -> Result<()>;
    /// Ends the lease at once, so that others need not wait for it to run out.
    async fn retire(&self, worker: WorkerId) -> Result<()>;
    /// Claims runs that nobody owns and whose time has come; with `abandoned`, also those whose owner has not
    /// renewed for longer than that. Each claim raises the run's epoch. A run that is pinned to another machine is
    /// among them only when its cancel was forced and, by `abandoned`, no process of that machine is left.
    async fn claim(&self, worker: &Worker, limit: usize, abandoned: Option<Duration>) -> Result<Vec<Run>>;
    /// Claims one run, if it is among those that a claim without `abandoned` may take.
    async fn claim_one(&self, worker: &Worker, run: RunId) -> Result<Option<Run>>;
    /// When the next unowned run comes due, as a duration from now.
    async fn next_due(&self) -> Result<Option<Duration>>;
    /// The next signal; never errors, reconnects by itself.
    async fn signal(&self) -> Signal;

    /// Marks a run as to be cancelled, and tells its owner; a forced cancel stays one. Returns its status before; final
    /// ones stay as they are.
    async fn request_cancel(&self, run: RunId, how: Cancel) -> Result<Option<RunStatus>>;
    /// The cancels asked for among the runs that this process owns.
    async fn cancels(&self, owner: WorkerId) -> Result<Vec<(RunId, Cancel)>>;
    /// Lets an ended run be taken up again to be undone, if it has this version. It takes its concurrency key again,
    /// and waits for it in order while another run holds it.
    async fn reopen(&self, checkpoint: Checkpoint) -> Result<Ack>;
    /// Marks all steps of an old run as taken over by a new one, in the transaction that stores it.
    async fn supersede(&self, old: RunId, old_version: i64, new: NewRun) -> Result<Created>;

    /// From now on so many runs pass each gate at once; none: any number. Those go on that now may.
    async fn set_limits(&self, limits: &[(Gate, Option<u32>)]) -> Result<()>;
    /// Pauses, unless that gate is paused already; the pause that stands. All processes are told.
    async fn pause(&self, pause: Pause) -> Result<Pause>;
    /// Ends a pause and lets those go on that waited for its end; `false` when there was none. All are told.
    async fn resume(&self, gate: &Gate) -> Result<bool>;
    async fn pauses(&self) -> Result<Vec<Pause>>;
    /// Lets those go on that wait for the end of a pause that has ended. For a process that let a run go for a pause
    /// while another ended it.
    async fn wake_paused(&self) -> Result<()>;
    /// How many runs behind this gate a process has under way.
    async fn under_way(&self, gate: &Gate) -> Result<i64>;

    async fn run(&self, id: RunId) -> Result<Option<Run>>;
    /// Runs without their steps, newest first.
    async fn runs(&self, filter: &RunFilter) -> Result<Vec<Run>>;
    /// Events after this number, in order, at most `limit` and no more once they have [`EVENTS_BYTES`], and whether the run has ended with the last of them.
    async fn events(&self, run: RunId, after: i64, limit: usize) -> Result<(Vec<Event>, bool)>;
    async fn standing(&self, run: &Run) -> Result<Standing>;
}
