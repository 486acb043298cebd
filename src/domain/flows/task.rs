//! What a task is: the unit of work that flows chain.
//!
//! Authors write a [`TypedTask`] with an input and an output struct; every one of those is a [`Task`], the trait
//! object the engine chains, which speaks JSON.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::context::Context;

/// What running a task twice would do; it decides what its durability costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Same input, same output, nothing touched: may be run again at will. Its checkpoint rides with the next
    /// write. It has no undo; the registry refuses one. Fetching is not pure.
    Pure,
    /// Running it again does no harm: its checkpoint is durable before the next step starts.
    Idempotent,
    /// Must not be run twice: its start is durable too, and after a crash the engine asks [`Task::recover`].
    Once,
}

/// How long, how often, and how patiently. A flow's step may override timeout and attempts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// For one attempt.
    pub timeout: Duration,
    /// In all, the first included.
    pub attempts: u32,
    /// Before the second attempt; doubles with each one after, with jitter.
    pub backoff: Duration,
    /// The longest pause between attempts.
    pub backoff_max: Duration,
    /// How long a cancelled or timed-out attempt may take to end by itself.
    pub grace: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(60),
            attempts: 1,
            backoff: Duration::from_millis(500),
            backoff_max: Duration::from_secs(60),
            grace: Duration::from_secs(10),
        }
    }
}

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
    /// [`Context::waited_until`] set.
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

/// What became of a [`Effect::Once`] task whose process died under it.
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

/// What a task would do, said without doing it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Plan {
    pub summary: String,
}

/// A task as the engine sees it.
///
/// An implementer guarantees: `undo` is idempotent and accepts a step that only half happened; `run` stops soon
/// after the context's cancel signal; nothing blocks a thread.
#[async_trait]
pub trait Task: Send + Sync {
    /// Stored with every step: a contract, never renamed.
    fn name(&self) -> &'static str;
    fn description(&self) -> &'static str;
    fn effect(&self) -> Effect;
    fn policy(&self) -> Policy;
    fn input_schema(&self) -> Schema;
    fn output_schema(&self) -> Schema;
    fn undoable(&self) -> bool;
    async fn run(&self, ctx: &Context, input: Value) -> Outcome;
    async fn undo(&self, ctx: &Context, input: Value, output: Option<Value>) -> Outcome;
    async fn recover(&self, ctx: &Context, input: Value) -> Recovery;
    async fn plan(&self, ctx: &Context, input: Value) -> Plan;
}

/// A task as its author writes it.
#[async_trait]
pub trait TypedTask: Send + Sync + 'static {
    /// Stored with every step and written in flows: a contract, never renamed. Equals the file's name.
    const NAME: &'static str;
    /// One sentence for `GET /flow-manager/tasks`.
    const DESCRIPTION: &'static str;
    /// `true` when [`TypedTask::undo`] takes something back.
    const UNDOABLE: bool = false;

    type Input: DeserializeOwned + JsonSchema + Send;
    type Output: Serialize + JsonSchema + Send;

    fn effect(&self) -> Effect {
        Effect::Idempotent
    }

    fn policy(&self) -> Policy {
        Policy::default()
    }

    async fn run(&self, ctx: &Context, input: Self::Input) -> Result<Self::Output, Stop>;

    /// Takes back what `run` did, or the half of it that happened; `output` is what it returned, if it did.
    /// Run again after it succeeded, it succeeds.
    async fn undo(&self, _ctx: &Context, _input: Self::Input, _output: Option<Value>) -> Result<(), Stop> {
        Ok(())
    }

    async fn recover(&self, _ctx: &Context, _input: Self::Input) -> Recovery {
        Recovery::Unknown
    }

    async fn plan(&self, _ctx: &Context, _input: Self::Input) -> Plan {
        Plan { summary: Self::DESCRIPTION.to_owned() }
    }
}

#[async_trait]
impl<T: TypedTask> Task for T {
    fn name(&self) -> &'static str {
        T::NAME
    }

    fn description(&self) -> &'static str {
        T::DESCRIPTION
    }

    fn effect(&self) -> Effect {
        TypedTask::effect(self)
    }

    fn policy(&self) -> Policy {
        TypedTask::policy(self)
    }

    fn input_schema(&self) -> Schema {
        generator().into_root_schema_for::<T::Input>()
    }

    fn output_schema(&self) -> Schema {
        generator().into_root_schema_for::<T::Output>()
    }

    fn undoable(&self) -> bool {
        T::UNDOABLE
    }

    async fn run(&self, ctx: &Context, input: Value) -> Outcome {
        let input = match read::<T::Input>(input) {
            Ok(input) => input,
            Err(reason) => return Outcome::FailClean(reason),
        };
        match TypedTask::run(self, ctx, input).await {
            Ok(output) => match serde_json::to_value(output) {
                Ok(value) => Outcome::Done(value),
                Err(error) => Outcome::Fail(Reason::new("task.output_unreadable", error.to_string())),
            },
            Err(stop) => stop.into(),
        }
    }

    async fn undo(&self, ctx: &Context, input: Value, output: Option<Value>) -> Outcome {
        match read::<T::Input>(input) {
            Ok(input) => match TypedTask::undo(self, ctx, input, output).await {
                Ok(()) => Outcome::Done(Value::Null),
                Err(stop) => stop.into(),
            },
            Err(reason) => Outcome::Fail(reason),
        }
    }

    async fn recover(&self, ctx: &Context, input: Value) -> Recovery {
        match read::<T::Input>(input) {
            Ok(input) => TypedTask::recover(self, ctx, input).await,
            Err(_) => Recovery::Unknown,
        }
    }

    async fn plan(&self, ctx: &Context, input: Value) -> Plan {
        match read::<T::Input>(input) {
            Ok(input) => TypedTask::plan(self, ctx, input).await,
            Err(reason) => Plan { summary: reason.detail },
        }
    }
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

fn read<T: DeserializeOwned>(input: Value) -> Result<T, Reason> {
    // A step without an input gives its task an empty object.
    let input = if input.is_null() { Value::Object(Default::default()) } else { input };
    serde_json::from_value(input).map_err(|error| Reason::new("task.input_invalid", error.to_string()))
}

fn generator() -> SchemaGenerator {
    SchemaSettings::draft2020_12().into_generator()
}
