//! A run as callers see it.

use flow_domain::flows::run::{Cause, Run, RunError, RunStatus};
use flow_domain::flows::step::{Step, StepStatus, UndoStatus};
use flow_domain::users::Role;
use flow_domain::{Fault, RunId, UserId};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// One execution of a flow.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Run")]
pub(super) struct RunView<'a> {
    id: RunId,
    flow: &'a str,
    /// The caller's own label of the definition.
    flow_id: Option<&'a str>,
    status: RunStatus,
    cause: Option<Cause>,
    /// 0 to 100, never going back; 100 means succeeded.
    percent: u8,
    created_at: Timestamp,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    #[schemars(with = "Value")]
    input: &'a Value,
    /// One a step of the definition, in its order; left out in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    tasks: Option<Vec<TaskView<'a>>>,
    error: Option<&'a RunError>,
    /// The run that this one is a retry of.
    parent_id: Option<RunId>,
    /// The `traceparent` of the request that started it; left out if it had none.
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<String>,
    caller: CallerView,
    links: Links,
}

/// Who started it.
#[derive(Serialize, JsonSchema)]
struct CallerView {
    id: UserId,
    /// As it was then; `system` for schedules and events.
    role: Role,
}

/// The last attempt at one step.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RunTask")]
struct TaskView<'a> {
    name: &'a str,
    task: &'a str,
    status: StepStatus,
    /// From 1; 0 before the first.
    attempt: u32,
    /// With its references resolved, secrets left out; for operators, of a run by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Value>")]
    input: Option<&'a Value>,
    #[schemars(with = "Value")]
    output: Option<&'a Value>,
    error: Option<Fault>,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    duration_ms: Option<i64>,
    percent: u8,
    undo: UndoStatus,
}

#[derive(Serialize, JsonSchema)]
struct Links {
    #[serde(rename = "self")]
    this: String,
    events: String,
    why: String,
    cancel: String,
}

pub(super) fn path_of(run: RunId) -> String {
    format!("/flow-manager/runs/{run}")
}

impl<'a> RunView<'a> {
    pub(super) fn new(run: &'a Run) -> Self {
        let tasks = (0..run.definition.tasks.len()).map(|index| TaskView::new(run, index)).collect();
        Self { tasks: Some(tasks), ..Self::without_tasks(run) }
    }

    /// With what its steps were given.
    pub(super) fn with_inputs(run: &'a Run) -> Self {
        let mut view = Self::new(run);
        for (index, task) in view.tasks.iter_mut().flatten().enumerate() {
            task.input = run.last_attempt(index).map(|step| &*step.input);
        }
        view
    }

    pub(super) fn without_tasks(run: &'a Run) -> Self {
        let this = path_of(run.id);
        let head = &run.head;
        Self {
            id: run.id,
            flow: &run.definition.name,
            flow_id: run.definition.id.as_deref(),
            status: head.status,
            cause: head.cause,
            percent: head.percent,
            created_at: run.created_at,
            started_at: head.started_at,
            finished_at: head.finished_at,
            input: &run.input,
            tasks: None,
            error: head.error.as_ref(),
            parent_id: run.parent,
            traceparent: run.trace.as_ref().map(ToString::to_string),
            caller: CallerView { id: run.caller.id, role: run.caller.role },
            links: Links {
                events: format!("{this}/events"),
                why: format!("{this}/why"),
                cancel: format!("{this}/cancel"),
                this,
            },
        }
    }
}

impl<'a> TaskView<'a> {
    fn new(run: &'a Run, index: usize) -> Self {
        let definition = &run.definition.tasks[index];
        let status = run.step_status(index);
        let last = run.last_attempt(index);
        let ended = |step: &Step| Some(step.finished_at?.duration_since(step.started_at).as_millis() as i64);
        Self {
            name: &definition.name,
            task: definition.task_name(),
            status,
            // An attempt that is not stored before it ends is under way all the same.
            attempt: last.map_or(u32::from(status == StepStatus::Running), |step| step.attempt),
            input: None,
            output: last.and_then(|step| step.output.as_deref()),
            error: last
                .and_then(|step| step.error.as_ref())
                .map(|reason| Fault::new("", &reason.code, &reason.detail)),
            started_at: last.map(|step| step.started_at),
            finished_at: last.and_then(|step| step.finished_at),
            duration_ms: last.and_then(ended),
            percent: percent(run, index, status),
            undo: last.map_or(UndoStatus::None, |step| step.undo),
        }
    }
}

/// The run's percent counts whole steps by their weight, and the one under way by its own percent: that is what is left over.
fn percent(run: &Run, index: usize, status: StepStatus) -> u8 {
    match status {
        StepStatus::Succeeded => 100,
        StepStatus::Running => {
            let (done, total) = run.weights();
            let left_over = i64::from(run.head.percent) * i64::from(total) - 100 * i64::from(done);
            (left_over / i64::from(run.definition.tasks[index].weight())).clamp(0, 99) as u8
        }
        _ => 0,
    }
}
