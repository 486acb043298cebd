//! What a task is: the unit of work that flows chain.
//!
//! Authors write a [`TypedTask`] with an input and an output struct; every one of those is a [`Task`], the trait
//! object the engine chains, which speaks JSON.

use std::time::Duration;

use async_trait::async_trait;
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::context::Context;
use super::outcome::{Outcome, Reason, Recovery, Stop};

/// What running a task twice would do; it decides what its durability costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
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

/// What a task would do, said without doing it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    pub summary: String,
    /// What would make it fail, as far as that is known already.
    pub faults: Vec<Reason>,
}

impl Plan {
    pub fn new(summary: impl Into<String>) -> Self {
        Self { summary: summary.into(), faults: Vec::new() }
    }

    /// What a check that changes nothing says of it.
    pub fn unless<T>(mut self, checked: Result<T, Stop>) -> Self {
        if let Err(Stop::Retry { reason, .. } | Stop::Fail(reason) | Stop::FailClean(reason)) = checked {
            self.faults.push(reason);
        }
        self
    }
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
    /// Its work lives on the machine where it runs: child processes, files.
    fn pins_host(&self) -> bool;
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
    /// `true` when its work lives on the machine where it runs: child processes, files. Once it has started, only
    /// that machine's processes drive the run.
    const PINS_HOST: bool = false;

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
        Plan::new(Self::DESCRIPTION)
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

    fn pins_host(&self) -> bool {
        T::PINS_HOST
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
            Err(reason) => Plan { summary: T::DESCRIPTION.to_owned(), faults: vec![reason] },
        }
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
