//! A flow as it is written: TOML in `config/flows/`, or JSON in a request; one model.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::schedule::Schedule;
use crate::users::Role;

/// The target that ends a flow.
pub const END: &str = "end";

/// A flow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// The caller's own label; returned as `flow_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Roles that may start it besides operators; default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<Role>,
    /// JSON Schema of the run's input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// Default: the first of `tasks`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_task: Option<String>,
    pub tasks: Vec<StepDefinition>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    #[serde(default)]
    pub on_failure: OnFailure,
    /// One run at a time per key; may hold references to `input` and `caller`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency_key: Option<String>,
    /// So many of its runs go on at once, in the whole service; others wait in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub at_once: Option<u32>,
    /// When it starts by itself, for flow files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// The type of event that starts it, for flow files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_event: Option<String>,
    /// Only processes started with this label take it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs_on: Option<String>,
}

/// A step: a task with a name and an input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepDefinition {
    pub name: String,
    /// The task's name in the code, or an alias; default: the step's own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// May hold `${input.…}`, `${caller.…}` and `${tasks.NAME.output.…}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// For one attempt, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86400))]
    pub timeout_s: Option<u32>,
    /// In all, the first included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub attempts: Option<u32>,
    /// Its share of the run's percent, beside 1 of a step that says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub weight: Option<u32>,
}

/// Where to go after a step. Met, when `source_task` ended with `outcome`: on to `target_task_success`; not met: to
/// `target_task_failure`. `"end"` ends the flow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub source_task: String,
    pub outcome: ConditionOutcome,
    pub target_task_success: String,
    pub target_task_failure: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConditionOutcome {
    Success,
    Failure,
}

/// What a failed run does with what it did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// Takes it back, step by step in reverse.
    #[default]
    Undo,
    /// Leaves it.
    Stop,
}

/// Where a run goes after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// On to the step at this position.
    Step(usize),
    /// The run has succeeded.
    Succeed,
    /// The run has failed.
    Fail,
}

impl Definition {
    pub fn index_of(&self, step: &str) -> Option<usize> {
        self.tasks.iter().position(|task| task.name == step)
    }

    /// The position of the first step to run.
    pub fn start(&self) -> usize {
        self.start_task.as_deref().and_then(|name| self.index_of(name)).unwrap_or(0)
    }

    /// Where to go when the step at `index` has ended.
    pub fn route(&self, index: usize, succeeded: bool) -> Route {
        let here = &self.tasks[index].name;
        let Some(condition) = self.conditions.iter().find(|condition| condition.source_task == *here) else {
            return match (succeeded, index + 1 < self.tasks.len()) {
                (true, true) => Route::Step(index + 1),
                (true, false) => Route::Succeed,
                (false, _) => Route::Fail,
            };
        };
        let met = (condition.outcome == ConditionOutcome::Success) == succeeded;
        let target = if met { &condition.target_task_success } else { &condition.target_task_failure };
        match (self.index_of(target), succeeded) {
            (Some(next), _) => Route::Step(next),
            (None, true) => Route::Succeed,
            (None, false) => Route::Fail,
        }
    }

    /// Whether this role may start the flow.
    pub fn allows(&self, role: Role) -> bool {
        role >= Role::Operator || self.allow.iter().any(|allowed| role >= *allowed)
    }

    /// Fills in what aliases and defaults leave out, so that the stored definition stands by itself.
    pub fn resolved(mut self, aliases: &BTreeMap<String, super::Alias>) -> Self {
        for step in &mut self.tasks {
            let task = step.task.clone().unwrap_or_else(|| step.name.clone());
            match aliases.get(&task) {
                Some(alias) => {
                    step.task = Some(alias.task.clone());
                    if step.input.is_none() {
                        step.input = alias.input.clone();
                    }
                }
                None => step.task = Some(task),
            }
        }
        self
    }

    /// SHA-256 of the definition, hexadecimal: runs of the same definition share one stored copy.
    pub fn hash(&self) -> String {
        let bytes = serde_json::to_vec(self).expect("a definition is plain data");
        crate::hex(Sha256::digest(bytes))
    }
}

impl StepDefinition {
    /// The task's name in the code.
    pub fn task_name(&self) -> &str {
        self.task.as_deref().unwrap_or(&self.name)
    }

    /// Its share of the run's percent.
    pub fn weight(&self) -> u32 {
        self.weight.unwrap_or(1)
    }
}
