//! The states of a run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a run is. The diagram in the README and the check constraint in SQL name the same states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Stored, and nobody's: the first able process claims it, or its concurrency key is held by another run.
    Queued,
    /// Its owner works on a step.
    Running,
    /// Until a time that a task asked for or that a retry has. The engine moves it on when that has come.
    Waiting,
    /// Every step on its way succeeded. Final; an operator may undo it.
    Succeeded,
    /// A step failed, and there was nothing to take back, or the flow says `on_failure = "stop"`. Final.
    Failed,
    /// Cancelled, and all taken back that had to be. Final.
    Cancelled,
    /// Its owner takes the started steps back, in reverse.
    Undoing,
    /// Failed, and all taken back. Final.
    Undone,
    /// An undo used up its attempts; `POST …/undo` goes on from there. Final until then.
    UndoFailed,
}

impl RunStatus {
    pub const ALL: [Self; 9] = [
        Self::Queued,
        Self::Running,
        Self::Waiting,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
        Self::Undoing,
        Self::Undone,
        Self::UndoFailed,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Undoing => "undoing",
            Self::Undone => "undone",
            Self::UndoFailed => "undo_failed",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }

    /// Nobody works on it any more.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled | Self::Undone | Self::UndoFailed)
    }
}

/// Why a run ended otherwise than by success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    Failure,
    Cancel,
    Timeout,
}

impl Cause {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failure => "failure",
            Self::Cancel => "cancel",
            Self::Timeout => "timeout",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        [Self::Failure, Self::Cancel, Self::Timeout].into_iter().find(|cause| cause.as_str() == name)
    }
}

/// What a caller is told of a failed run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunError {
    /// Stable, for programs.
    pub code: String,
    /// For people.
    pub detail: String,
    /// The step it happened in.
    pub step: Option<String>,
}
