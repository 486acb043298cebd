//! What a task is told about its run, and what it can tell back.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use crate::ports::Ports;
use crate::users::Caller;
use crate::{CancelSignal, RunId};

/// Hears what a running task reports; the engine stores it as events.
pub trait Reporter: Send + Sync {
    /// 0 to 100; lower than before is ignored.
    fn progress(&self, percent: u8, message: &str);
    /// One line of output.
    fn output(&self, line: &str);
    /// A text without the secrets that the step was given, if it holds any.
    fn masked(&self, _text: &str) -> Option<String> {
        None
    }
}

/// Given to every call of a task.
#[derive(Clone)]
pub struct Context {
    pub run: RunId,
    /// The step's name in its flow.
    pub step: String,
    /// From 1.
    pub attempt: u32,
    /// Who started the run.
    pub caller: Caller,
    /// What the run was started with.
    pub run_input: Arc<Value>,
    /// Outputs of earlier steps by step name.
    pub outputs: Arc<BTreeMap<String, Arc<Value>>>,
    /// Fires when this attempt should stop: cancelled, timed out, or the process stops. Hand it on to the ports; once
    /// it is forced there is no grace, and the call is soon dropped.
    pub cancel: CancelSignal,
    /// Set when the task answered `WaitUntil` before and that time has come.
    pub waited_until: Option<Timestamp>,
    pub ports: Arc<Ports>,
    pub reporter: Arc<dyn Reporter>,
}

impl Context {
    /// Says how far the task is, 0 to 100, and what it is doing, in words a learner understands.
    pub fn progress(&self, percent: u8, message: &str) {
        self.reporter.progress(percent.min(100), message);
    }

    /// Adds a line to the run's live log.
    pub fn line(&self, line: &str) {
        self.reporter.output(line);
    }

    /// A text without the secrets that the step was given, if it holds any. For what a task leaves outside the run.
    pub fn masked(&self, text: &str) -> Option<String> {
        self.reporter.masked(text)
    }

    /// A string unique to this run and step, the same for every attempt: for idempotency keys of other services.
    pub fn idempotency_key(&self) -> String {
        format!("{}/{}", self.run, self.step)
    }
}
