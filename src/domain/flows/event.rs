//! What watchers of a run see, numbered per run from 1.
//!
//! The common events are not stored a second time: a run's beginning and end and its steps' starts and ends are read
//! from the run and its steps, which carry their event numbers. Only the others are rows.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::run::RunStatus;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    Run(RunStatus),
    StepStarted,
    StepSucceeded,
    StepFailed,
    StepRetrying,
    StepUnknown,
    UndoStarted,
    UndoDone,
    UndoFailed,
    Progress,
    Output,
}

impl EventKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Run(RunStatus::Queued) => "run.queued",
            Self::Run(RunStatus::Running) => "run.running",
            Self::Run(RunStatus::Waiting) => "run.waiting",
            Self::Run(RunStatus::Succeeded) => "run.succeeded",
            Self::Run(RunStatus::Failed) => "run.failed",
            Self::Run(RunStatus::Cancelled) => "run.cancelled",
            Self::Run(RunStatus::Undoing) => "run.undoing",
            Self::Run(RunStatus::Undone) => "run.undone",
            Self::Run(RunStatus::UndoFailed) => "run.undo_failed",
            Self::StepStarted => "step.started",
            Self::StepSucceeded => "step.succeeded",
            Self::StepFailed => "step.failed",
            Self::StepRetrying => "step.retrying",
            Self::StepUnknown => "step.unknown",
            Self::UndoStarted => "undo.started",
            Self::UndoDone => "undo.done",
            Self::UndoFailed => "undo.failed",
            Self::Progress => "progress",
            Self::Output => "output",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        let steps = [
            Self::StepStarted,
            Self::StepSucceeded,
            Self::StepFailed,
            Self::StepRetrying,
            Self::StepUnknown,
            Self::UndoStarted,
            Self::UndoDone,
            Self::UndoFailed,
            Self::Progress,
            Self::Output,
        ];
        let runs = RunStatus::ALL.into_iter().map(Self::Run);
        steps.into_iter().chain(runs).find(|kind| kind.as_str() == name)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Per run, from 1, without gaps among what is committed.
    pub number: i64,
    pub kind: EventKind,
    pub at: Timestamp,
    pub step: Option<String>,
    pub attempt: Option<u32>,
    pub data: Value,
}

impl Serialize for Event {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut event = serializer.serialize_struct("event", 6)?;
        event.serialize_field("id", &self.number)?;
        event.serialize_field("type", self.kind.as_str())?;
        event.serialize_field("at", &self.at)?;
        event.serialize_field("step", &self.step)?;
        event.serialize_field("attempt", &self.attempt)?;
        event.serialize_field("data", &self.data)?;
        event.end()
    }
}
