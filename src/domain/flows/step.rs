//! One attempt at one step of a run, as it is recorded.

use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::outcome::Reason;
use super::secret::SecretVersion;

/// Where a step is. The engine moves it on; a check constraint in SQL names the same states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// Not reached yet. Never stored.
    Pending,
    /// Its task runs, or ran when its process died: whoever takes the run over goes on from here.
    Running,
    /// Its task asked for a time, or a retry has one: the engine starts it again when that has come.
    Waiting,
    Succeeded,
    /// This attempt is over; there may be another.
    Failed,
    /// A `Once` task was under way when its process died, and nobody can say what became of it.
    Unknown,
    /// The flow went round it. Never stored.
    Skipped,
}

/// Where the undo of a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UndoStatus {
    /// None wanted so far.
    None,
    /// The run is being taken back and this step's turn has not come.
    Pending,
    Running,
    Done,
    /// All attempts used up; an operator goes on by `POST …/undo`.
    Failed,
}

impl StepStatus {
    pub const STORED: [Self; 5] =
        [Self::Running, Self::Waiting, Self::Succeeded, Self::Failed, Self::Unknown];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Skipped => "skipped",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::STORED.into_iter().find(|status| status.as_str() == name)
    }

    /// The attempt is over.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Unknown)
    }
}

impl UndoStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        [Self::None, Self::Pending, Self::Running, Self::Done, Self::Failed]
            .into_iter()
            .find(|status| status.as_str() == name)
    }
}

/// A row of the ledger: one attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Order of start within the run, from 1; undo goes by it in reverse.
    pub seq: i32,
    /// Position in the definition.
    pub index: usize,
    pub name: String,
    /// The task's name in the code.
    pub task: String,
    /// From 1.
    pub attempt: u32,
    pub status: StepStatus,
    /// With its references resolved.
    pub input: Arc<Value>,
    /// What of the input are secrets; their values are not in it.
    pub secrets: Vec<SecretVersion>,
    pub output: Option<Arc<Value>>,
    pub error: Option<Reason>,
    pub started_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    /// The time its task asked to wait for, once it did.
    pub waited_until: Option<Timestamp>,
    /// Its task has an undo, and it did not say that nothing was changed.
    pub undoable: bool,
    pub undo: UndoStatus,
    pub undo_attempt: u32,
    pub undo_error: Option<Reason>,
    /// Number of its `step.started` event.
    pub started_event: i64,
    /// Number of its `step.succeeded`, `step.failed` or `step.unknown` event.
    pub finished_event: Option<i64>,
}
