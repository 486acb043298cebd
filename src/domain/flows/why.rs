//! Why a run is where it is, in one sentence and the facts.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::gate::{Gate, Pause};
use super::run::{Run, RunError, RunStatus};
use super::step::{Step, StepStatus, UndoStatus};
use super::store::Standing;
use crate::users::Role;
use crate::{Cancel, RunId, UserId};

/// A process that has not renewed its lease for this long, in seconds, is being replaced.
const LOST_AFTER_S: f64 = 5.0;

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Why {
    pub sentence: String,
    pub status: RunStatus,
    pub since: Timestamp,
    /// The machine whose process drives the run.
    pub holder: Option<String>,
    pub blocked_by: Option<BlockedBy>,
    pub next_retry_at: Option<Timestamp>,
    pub last_error: Option<RunError>,
    /// Calls that would change something now.
    pub can_do: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum BlockedBy {
    /// Another run holds the concurrency key; so many wait before this one.
    ConcurrencyKey { key: String, run: Option<RunId>, ahead: i64 },
    /// As many runs go on as may, of the flow or, without one, in all; so many wait before this one.
    Limit { flow: Option<String>, at_once: i64, ahead: i64 },
    /// No new step starts: the flow is paused or, without one, the whole service.
    Paused { flow: Option<String>, since: Timestamp, by: UserId, reason: Option<String> },
    /// No live process has the tasks and the label that this run needs.
    NoWorker { runs_on: Option<String> },
    /// A started step's work lives on a machine none of whose processes is alive.
    Host,
    /// The process that drove it is gone or cannot reach the database; another takes over.
    /// How long ago it was last heard of; none if it said that it stops.
    LostOwner { heartbeat_age_s: Option<f64> },
}

/// Says why, from the run and what its store knows.
pub fn explain(run: &Run, standing: &Standing, role: Role, now: Timestamp) -> Why {
    let blocked_by = blocked_by(run, standing);
    let retries = run.steps.last().is_some_and(|step| step.status == StepStatus::Failed) || undo_waits(run);
    let mut sentence = sentence(run, standing, blocked_by.as_ref(), now);
    let goes_on = matches!(run.head.status, RunStatus::Queued | RunStatus::Running | RunStatus::Waiting);
    if let Some(pause) = standing.pause.as_ref().filter(|_| goes_on && !is_paused(blocked_by.as_ref())) {
        sentence = format!("{sentence} {}", paused(pause));
    }
    Why {
        sentence,
        status: run.head.status,
        since: since(run),
        holder: standing.host.clone(),
        next_retry_at: run.head.wake_at.filter(|_| retries),
        last_error: last_error(run),
        can_do: can_do(run, blocked_by.as_ref(), role),
        blocked_by,
    }
}

fn blocked_by(run: &Run, standing: &Standing) -> Option<BlockedBy> {
    let lost = standing.heartbeat_age_s.filter(|age| run.head.owner.is_some() && *age > LOST_AFTER_S);
    let let_go = run.head.owner.is_none() && !run.head.status.is_final();
    let nobody_able = standing.able_workers == 0;
    match run.head.status {
        RunStatus::Queued | RunStatus::Undoing if let_go && standing.key_holder.is_some() => {
            Some(BlockedBy::ConcurrencyKey {
                key: run.concurrency_key.clone().unwrap_or_default(),
                run: standing.key_holder,
                ahead: standing.key_queue,
            })
        }
        RunStatus::Queued | RunStatus::Undoing if let_go && standing.limit.is_some() => {
            standing.limit.clone().map(|limit| BlockedBy::Limit {
                flow: limit.gate.flow().map(str::to_owned),
                at_once: limit.at_once,
                ahead: limit.ahead,
            })
        }
        RunStatus::Queued | RunStatus::Waiting
            if let_go && run.head.wake_at.is_none() && standing.pause.is_some() =>
        {
            standing.pause.clone().map(|Pause { gate, since, by, reason }| BlockedBy::Paused {
                flow: gate.flow().map(str::to_owned),
                since,
                by,
                reason,
            })
        }
        _ if (let_go || lost.is_some()) && nobody_able && run.head.host_id.is_some() => Some(BlockedBy::Host),
        _ if let_go && nobody_able => Some(BlockedBy::NoWorker { runs_on: run.definition.runs_on.clone() }),
        _ => {
            lost.map(|age| BlockedBy::LostOwner { heartbeat_age_s: Some(age).filter(|age| age.is_finite()) })
        }
    }
}

fn sentence(run: &Run, standing: &Standing, blocked_by: Option<&BlockedBy>, now: Timestamp) -> String {
    match blocked_by {
        Some(BlockedBy::ConcurrencyKey { key, ahead: 0, .. }) => {
            return format!("It is next for the key {key:?}, which another run holds.");
        }
        Some(BlockedBy::ConcurrencyKey { key, ahead, .. }) => {
            return format!(
                "It waits for the key {key:?}, which another run holds; {ahead} more wait before it."
            );
        }
        Some(BlockedBy::Limit { flow, at_once, ahead }) => {
            let whose = if flow.is_some() { "of this flow go" } else { "go" };
            let before = match ahead {
                0 => "it is next".to_owned(),
                ahead => format!("{ahead} more wait before it"),
            };
            return format!("At most {at_once} runs {whose} on at once, and as many do; {before}.");
        }
        Some(BlockedBy::Paused { .. }) => {
            return standing.pause.as_ref().map(paused).unwrap_or_default();
        }
        Some(BlockedBy::NoWorker { runs_on: Some(label) }) => {
            return format!("No live process has the label {label:?} and the tasks that this run needs.");
        }
        Some(BlockedBy::Host) => {
            return "It waits for its host: a started step's work lives on a machine none of whose processes is alive."
                .to_owned();
        }
        Some(BlockedBy::NoWorker { runs_on: None }) => {
            return "No live process has the tasks that this run needs.".to_owned();
        }
        Some(BlockedBy::LostOwner { heartbeat_age_s: None }) => {
            return "The process that drove it has stopped; another takes the run over.".to_owned();
        }
        Some(BlockedBy::LostOwner { heartbeat_age_s: Some(heartbeat_age_s) }) => {
            return format!(
                "The process that drove it has not been heard of for {heartbeat_age_s:.0} s: it died, or the database \
                 was away; another takes the run over."
            );
        }
        None => {}
    }
    if let Some(error) = run.head.error.as_ref().filter(|_| does_not_yield(run)) {
        return format!("The step {}.", error.detail);
    }
    let until = run.head.wake_at.map(|at| at.duration_since(now).as_secs().max(0)).unwrap_or_default();
    let step =
        || run.head.cursor.map(|cursor| run.definition.tasks[cursor].name.as_str()).unwrap_or_default();
    match run.head.status {
        RunStatus::Queued => {
            "It waits for a process to take it; that happens within a second or so.".to_owned()
        }
        RunStatus::Running if run.head.cancel.is_some() => {
            format!("It was asked to cancel, and the step {:?} was told to stop.", step())
        }
        RunStatus::Running => match &standing.host {
            Some(host) => match &standing.doing {
                Some(doing) => format!("{host:?} works on the step {:?}: {doing}.", step()),
                None => format!("{host:?} works on the step {:?}.", step()),
            },
            None => format!("It goes on with the step {:?}.", step()),
        },
        RunStatus::Waiting => match run.steps.last() {
            Some(last) if last.status == StepStatus::Failed => {
                let reason = last.error.as_ref().map(|error| error.detail.as_str()).unwrap_or_default();
                format!(
                    "Attempt {} at the step {:?} failed ({reason}); the next is in {until} s.",
                    last.attempt, last.name
                )
            }
            _ => format!("The step {:?} asked to wait; it goes on in {until} s.", step()),
        },
        RunStatus::Undoing => match run
            .steps
            .iter()
            .rev()
            .find(|step| matches!(step.undo, UndoStatus::Pending | UndoStatus::Running))
        {
            Some(step) if undo_waits(run) => {
                format!("Taking back the step {:?} failed; the next attempt is in {until} s.", step.name)
            }
            Some(step) => format!("The step {:?} is being taken back.", step.name),
            None => "The last step has been taken back.".to_owned(),
        },
        RunStatus::Succeeded => "It is over: every step on its way succeeded.".to_owned(),
        RunStatus::Cancelled => {
            match run.steps.iter().rev().find(|step| step.status == StepStatus::Unknown) {
                Some(Step { name, error: Some(reason), .. }) => format!(
                    "It was cancelled, and everything else was taken back, but nobody can say what became of the step \
                 {name:?}: {}.",
                    reason.detail
                ),
                _ => "It was cancelled, and everything that had to be taken back was.".to_owned(),
            }
        }
        RunStatus::Undone => format!("It failed and was taken back. {}", reason(run)),
        RunStatus::Failed => format!("It failed. {}", reason(run)),
        RunStatus::UndoFailed => format!("It could not be taken back. {}", reason(run)),
    }
}

fn is_paused(blocked_by: Option<&BlockedBy>) -> bool {
    matches!(blocked_by, Some(BlockedBy::Paused { .. }))
}

fn paused(pause: &Pause) -> String {
    let what = match &pause.gate {
        Gate::Flow(name) => format!("The flow {name:?}"),
        Gate::Service => "The whole service".to_owned(),
    };
    let reason = pause.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    format!(
        "{what} has been paused since {} by the user {}{reason}: no new step starts.",
        pause.since, pause.by
    )
}

fn reason(run: &Run) -> String {
    match &run.head.error {
        Some(RunError { detail, step: Some(step), .. }) => {
            format!("Step {step:?}: {}.", detail.trim_end_matches('.'))
        }
        Some(RunError { detail, .. }) => format!("{}.", detail.trim_end_matches('.')),
        None => String::new(),
    }
}

fn does_not_yield(run: &Run) -> bool {
    run.head.error.as_ref().is_some_and(|error| error.code == "task.does_not_yield")
}

fn undo_waits(run: &Run) -> bool {
    run.head.status == RunStatus::Undoing && run.head.wake_at.is_some()
}

fn since(run: &Run) -> Timestamp {
    let moved = run.steps.iter().map(|step| step.finished_at.unwrap_or(step.started_at)).max();
    run.head.finished_at.or(moved).or(run.head.started_at).unwrap_or(run.created_at)
}

fn last_error(run: &Run) -> Option<RunError> {
    let of_step = |step: &Step| {
        let reason = step.undo_error.as_ref().or(step.error.as_ref())?;
        Some(RunError {
            code: reason.code.clone(),
            detail: reason.detail.clone(),
            step: Some(step.name.clone()),
        })
    };
    run.head.error.clone().or_else(|| run.steps.iter().rev().find_map(of_step))
}

fn can_do(run: &Run, blocked_by: Option<&BlockedBy>, role: Role) -> Vec<String> {
    let call = |verb: &str| format!("POST /flow-manager/runs/{}/{verb}", run.id);
    let superseded = run.head.superseded_by.is_some();
    let undo = || (role >= Role::Operator).then(|| call("undo"));
    // Force helps where an ordinary cancel was not enough, or cannot be heard.
    let deaf = run.head.cancel.is_some() || does_not_yield(run) || blocked_by == Some(&BlockedBy::Host);
    let force = (deaf && role >= Role::Operator && run.head.cancel != Some(Cancel::Forced))
        .then(|| call("cancel?force=true"));
    match run.head.status {
        RunStatus::Queued | RunStatus::Running | RunStatus::Waiting => {
            let resume = match blocked_by {
                Some(BlockedBy::Paused { flow: Some(_), .. }) => "POST /flow-manager/flows/{name}/resume",
                Some(BlockedBy::Paused { flow: None, .. }) => "POST /flow-manager/resume",
                _ => "",
            };
            let resume = (!resume.is_empty() && role >= Role::Operator)
                .then(|| resume.replace("{name}", &run.definition.name));
            [Some(call("cancel")), force, resume].into_iter().flatten().collect()
        }
        RunStatus::Undoing => force.filter(|_| blocked_by == Some(&BlockedBy::Host)).into_iter().collect(),
        _ if superseded => Vec::new(),
        RunStatus::Succeeded | RunStatus::Failed => {
            [Some(call("retry")), undo()].into_iter().flatten().collect()
        }
        RunStatus::UndoFailed => undo().into_iter().collect(),
        RunStatus::Cancelled | RunStatus::Undone => vec![call("retry")],
    }
}
