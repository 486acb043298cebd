//! How an attempt at a task ends, in the words of the engine and in those of a task's author.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

/// A reason in two parts: a stable code for programs, a sentence for people. Both are shown to callers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    pub code: String,
    pub detail: String,
}

impl Reason {
    pub fn new(code: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { code: code.into(), detail: detail.into() }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

/// How an attempt ended: a closed set, so that the engine never has to guess.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Done(Value),
    /// Not now; try again, no sooner than `after` when given.
    Retry {
        reason: Reason,
        after: Option<Duration>,
    },
    /// For good. What it changed so far is undone.
    Fail(Reason),
    /// For good, and nothing was changed: no undo wanted.
    FailClean(Reason),
    /// Nothing to do before this time. Durable, and holds no slot; the task is then run again with
    /// [`waited_until`](super::Context::waited_until) set.
    WaitUntil(Timestamp),
}

/// Why a typed task's `run` returned no output.
#[derive(Clone, Debug, PartialEq)]
pub enum Stop {
    Retry { reason: Reason, after: Option<Duration> },
    Fail(Reason),
    FailClean(Reason),
    WaitUntil(Timestamp),
}

impl Stop {
    pub fn retry(code: &str, detail: impl Into<String>) -> Self {
        Stop::Retry { reason: Reason::new(code, detail), after: None }
    }

    pub fn fail(code: &str, detail: impl Into<String>) -> Self {
        Stop::Fail(Reason::new(code, detail))
    }

    pub fn fail_clean(code: &str, detail: impl Into<String>) -> Self {
        Stop::FailClean(Reason::new(code, detail))
    }
}

/// A part that is away may come back; everything else is for good. The public sentence only: causes go to the log.
impl From<crate::Error> for Stop {
    fn from(error: crate::Error) -> Self {
        if let Some(cause) = &error.cause {
            log::warn!("a task's port failed: code={} cause={cause}", error.code);
        }
        let reason = Reason::new(error.code, error.public);
        match error.kind {
            crate::Kind::Unavailable | crate::Kind::TooMany => {
                Stop::Retry { reason, after: error.retry_after_s.map(Duration::from_secs) }
            }
            _ => Stop::Fail(reason),
        }
    }
}

/// What became of a [`Once`](super::Effect::Once) task whose process died under it.
#[derive(Clone, Debug, PartialEq)]
pub enum Recovery {
    Finished(Value),
    NeverStarted,
    /// Still going; ask again.
    Running,
    Failed(Reason),
    /// Nobody can say. The step becomes `unknown`, the run fails, and the step is undone.
    Unknown,
}

impl From<Stop> for Outcome {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Retry { reason, after } => Outcome::Retry { reason, after },
            Stop::Fail(reason) => Outcome::Fail(reason),
            Stop::FailClean(reason) => Outcome::FailClean(reason),
            Stop::WaitUntil(time) => Outcome::WaitUntil(time),
        }
    }
}

/// Turns any error into a stop, in a task's own words: `read(path).retryable("disk.busy")?`.
pub trait OrStop<T> {
    fn retryable(self, code: &str) -> Result<T, Stop>;
    fn fatal(self, code: &str) -> Result<T, Stop>;
    fn fatal_clean(self, code: &str) -> Result<T, Stop>;
}

impl<T, E: fmt::Display> OrStop<T> for Result<T, E> {
    fn retryable(self, code: &str) -> Result<T, Stop> {
        self.map_err(|error| Stop::retry(code, error.to_string()))
    }

    fn fatal(self, code: &str) -> Result<T, Stop> {
        self.map_err(|error| Stop::fail(code, error.to_string()))
    }

    fn fatal_clean(self, code: &str) -> Result<T, Stop> {
        self.map_err(|error| Stop::fail_clean(code, error.to_string()))
    }
}
