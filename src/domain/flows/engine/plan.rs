//! What a run would do, found out without doing any of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::Engine;
use super::secrets::{secret_paths, too_short};
use crate::flows::check::order;
use crate::flows::context::{Context, Reporter};
use crate::flows::definition::{Definition, END, OnFailure, Route, StepDefinition};
use crate::flows::gate::PauseCard;
use crate::flows::reference::{Reference, Root, Scope, walk};
use crate::flows::run::{Run, Start};
use crate::flows::task::{Effect, Plan};
use crate::users::Caller;
use crate::{CancelSignal, Fault, RunId, clock};

/// What a run would do. Making one changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct FlowPlan {
    /// Steps that can be reached, each after all that lead to it.
    pub steps: Vec<PlannedStep>,
    /// Steps with something to take back, in the order in which that would happen.
    pub undo_order: Vec<String>,
    /// What becomes of those when the run fails: taken back, or left until somebody says so.
    pub on_failure: OnFailure,
    /// One run at a time has this key.
    pub concurrency_key: Option<String>,
    /// So many runs of the flow go on at once; none: any number.
    pub at_once: Option<u32>,
    /// The run would wait for the end of this pause.
    pub paused: Option<PauseCard>,
    /// What would make the run fail; none of them, and it could be started.
    pub faults: Vec<Fault>,
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct PlannedStep {
    pub name: String,
    pub task: String,
    /// What the task would do, in its own words.
    pub summary: String,
    pub effect: Effect,
    /// As far as it is known now: what earlier steps put out and secrets stay references.
    pub input: Value,
    pub timeout_s: u64,
    pub attempts: u32,
    pub undoable: bool,
    /// The next step when this one succeeds, or `end`.
    pub on_success: String,
    /// The next step when this one fails, or `fail`: the run fails.
    pub on_failure: String,
}

struct Silent;

impl Reporter for Silent {
    fn progress(&self, _percent: u8, _message: &str) {}
    fn output(&self, _line: &str) {}
}

impl Engine {
    /// Plans a checked definition. Every secret it names is looked up, and every input that is known is checked.
    pub async fn plan(&self, definition: &Definition, caller: &Caller, input: &Value) -> FlowPlan {
        let mut plan = FlowPlan::default();
        for index in order(definition).unwrap_or_default() {
            let step = &definition.tasks[index];
            plan.faults.extend(self.secret_faults(step, index).await);
            match self.plan_step(definition, index, caller, input, &mut plan.faults).await {
                Some(planned) => plan.steps.push(planned),
                None => continue,
            }
        }
        let start = Start {
            definition: Arc::new(definition.clone()),
            definition_hash: "".into(),
            caller: caller.clone(),
            input: Arc::new(input.clone()),
            parent: None,
        };
        plan.concurrency_key = Run::new(start, clock::now()).concurrency_key;
        plan.on_failure = definition.on_failure;
        plan.at_once = definition.at_once;
        let pauses = self.pauses().into_iter();
        let of_it = pauses.filter(|pause| pause.gate.is_before(&definition.name));
        plan.paused = of_it.min_by_key(|pause| pause.since).map(PauseCard::from);
        let undoable = plan.steps.iter().rev().filter(|step| step.undoable);
        plan.undo_order = undoable.map(|step| step.name.clone()).collect();
        plan
    }

    async fn plan_step(
        &self,
        definition: &Definition,
        index: usize,
        caller: &Caller,
        input: &Value,
        faults: &mut Vec<Fault>,
    ) -> Option<PlannedStep> {
        let step = &definition.tasks[index];
        let registered = self.registry.get(step.task_name())?;
        let at = format!("/flow/tasks/{index}/input");
        let raw = step.input.clone().unwrap_or_else(|| Value::Object(Map::new()));
        let known = known_part(&raw, &Scope { input, caller, outputs: &BTreeMap::new(), secrets: None });
        let later = refers_to_later(&raw);
        let found = if later { Vec::new() } else { registered.faults(&known, &at) };
        let task = &registered.task;
        // A task is asked only about an input that it can read.
        let plan = match later || !found.is_empty() {
            true => Plan::new(task.description()),
            false => task.plan(&self.plan_context(step, caller, input), known.clone()).await,
        };
        faults.extend(found);
        let told = plan.faults.into_iter();
        faults.extend(told.map(|why| Fault::new(format!("/flow/tasks/{index}"), &why.code, why.detail)));
        let policy = task.policy();
        Some(PlannedStep {
            name: step.name.clone(),
            task: task.name().to_owned(),
            summary: plan.summary,
            effect: task.effect(),
            input: known,
            timeout_s: step.timeout_s.map_or(policy.timeout.as_secs(), u64::from),
            attempts: step.attempts.unwrap_or(policy.attempts),
            undoable: task.undoable(),
            on_success: target(definition, index, true),
            on_failure: target(definition, index, false),
        })
    }

    async fn secret_faults(&self, step: &StepDefinition, index: usize) -> Vec<Fault> {
        let mut faults = Vec::new();
        for path in step.input.iter().flat_map(secret_paths) {
            let fault = match self.secrets.resolve(&path, None).await {
                Ok((value, _)) => too_short(&path, &value),
                Err(error) => Some(error),
            };
            faults.extend(fault.map(|error| {
                let at = format!("/flow/tasks/{index}/input");
                Fault::new(at, error.code, format!("secret {path:?}: {}", error.public))
            }));
        }
        faults
    }

    fn plan_context(&self, step: &StepDefinition, caller: &Caller, input: &Value) -> Context {
        Context {
            run: RunId::new(),
            step: step.name.clone(),
            attempt: 1,
            caller: caller.clone(),
            run_input: Arc::new(input.clone()),
            outputs: Arc::default(),
            cancel: CancelSignal::new(),
            waited_until: None,
            ports: self.ports.clone(),
            reporter: Arc::new(Silent),
        }
    }
}

/// Resolves each string by itself; one that refers to what is not there yet stays as it is written.
fn known_part(raw: &Value, scope: &Scope<'_>) -> Value {
    match raw {
        Value::Array(items) => items.iter().map(|item| known_part(item, scope)).collect(),
        Value::Object(map) => {
            Value::Object(map.iter().map(|(key, item)| (key.clone(), known_part(item, scope))).collect())
        }
        leaf => scope.resolve(leaf).unwrap_or_else(|_| leaf.clone()),
    }
}

fn refers_to_later(raw: &Value) -> bool {
    let mut later = false;
    let mut found = |_: &str, reference: &Reference| later |= matches!(reference.root, Root::Output(_));
    walk(raw, "", &mut found, &mut |_, _| {});
    later
}

fn target(definition: &Definition, index: usize, succeeded: bool) -> String {
    match definition.route(index, succeeded) {
        Route::Step(next) => definition.tasks[next].name.clone(),
        Route::Succeed => END.to_owned(),
        Route::Fail => "fail".to_owned(),
    }
}
