use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::definition;
use crate::UserId;
use crate::flows::outcome::Reason;
use crate::flows::run::{Cause, Failure, Next, Run, RunStatus, Start};
use crate::flows::step::{StepStatus, UndoStatus};
use crate::users::{Caller, Role};

pub(super) fn run(more: Value) -> Run {
    let step = |name: &str| json!({"name": name, "task": "echo"});
    let mut flow = json!({"name": "f", "tasks": [step("a"), step("b"), step("c")]});
    flow.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let start = Start {
        definition: Arc::new(definition(flow)),
        definition_hash: "hash".into(),
        caller: Caller { id: UserId::new(), role: Role::Learner },
        input: Arc::new(json!({"lab": "web"})),
        parent: None,
    };
    let mut run = Run::new(start, now());
    run.claim(crate::WorkerId::new(), now());
    run
}

pub(super) fn now() -> Timestamp {
    Timestamp::now()
}

pub(super) fn broken() -> Failure {
    Failure::new(Reason::new("it.broke", "it broke"))
}

pub(super) fn succeed(run: &mut Run, undoable: bool) {
    let Next::Start(index) = run.next() else { panic!("{:?}", run.next()) };
    let position = run.start_step(index, Value::Null, undoable, now());
    run.succeed_step(position, json!(index), now());
}

pub(super) fn fail(run: &mut Run, failure: Failure) {
    let Next::Start(index) = run.next() else { panic!("{:?}", run.next()) };
    let position = run.start_step(index, Value::Null, true, now());
    run.fail_step(position, failure, now());
}

pub(super) fn undone_in_order(run: &mut Run) -> Vec<String> {
    let mut order = Vec::new();
    while let Next::Undo(position) = run.next() {
        run.start_undo(position, now());
        order.push(run.steps[position].name.clone());
        run.finish_undo(position, now());
    }
    order
}

#[test]
fn steps_run_one_after_another_and_the_percent_tells_the_truth() {
    let mut run = run(json!({}));
    let mut percents = vec![run.head.percent];
    for _ in 0..3 {
        succeed(&mut run, false);
        percents.push(run.head.percent);
    }
    assert_eq!(percents, [0, 33, 66, 100]);
    assert_eq!((run.head.status, run.next()), (RunStatus::Succeeded, Next::Nothing));
}

#[test]
fn a_failure_takes_back_what_started_in_reverse_of_its_start() {
    let mut run = run(json!({}));
    succeed(&mut run, true);
    succeed(&mut run, false);
    fail(&mut run, broken());
    assert_eq!((run.head.status, run.head.cause), (RunStatus::Undoing, Some(Cause::Failure)));
    assert_eq!(undone_in_order(&mut run), ["c", "a"], "b has nothing to take back");
    assert_eq!(run.head.status, RunStatus::Undone);
    assert_eq!(run.head.error.as_ref().map(|error| error.step.as_deref()), Some(Some("c")));
}

#[test]
fn a_clean_failure_is_not_taken_back() {
    let mut run = run(json!({}));
    succeed(&mut run, true);
    fail(&mut run, Failure::clean(Reason::new("no", "no")));
    assert_eq!(undone_in_order(&mut run), ["a"]);
}

#[test]
fn with_nothing_to_take_back_a_failed_run_is_failed_and_a_cancelled_one_cancelled() {
    let mut failed = run(json!({}));
    fail(&mut failed, Failure::clean(Reason::new("no", "no")));
    assert_eq!(failed.head.status, RunStatus::Failed);
    let mut cancelled = run(json!({}));
    cancelled.cancel(now());
    assert_eq!((cancelled.head.status, cancelled.head.cause), (RunStatus::Cancelled, Some(Cause::Cancel)));
}

#[test]
fn on_failure_stop_leaves_everything() {
    let mut run = run(json!({"on_failure": "stop"}));
    succeed(&mut run, true);
    fail(&mut run, broken());
    assert_eq!((run.head.status, run.next()), (RunStatus::Failed, Next::Nothing));
}

#[test]
fn a_cancel_in_the_middle_of_a_step_takes_that_step_back_too() {
    let mut run = run(json!({}));
    succeed(&mut run, true);
    run.start_step(1, Value::Null, true, now());
    run.cancel(now());
    assert_eq!(run.steps[1].status, StepStatus::Failed);
    assert_eq!(undone_in_order(&mut run), ["b", "a"]);
    assert_eq!(run.head.status, RunStatus::Cancelled);
}

#[test]
fn an_undo_that_gives_up_stops_there_and_can_be_taken_up_again() {
    let mut run = run(json!({}));
    succeed(&mut run, true);
    fail(&mut run, broken());
    run.start_undo(1, now());
    run.fail_undo(1, Reason::new("stuck", "stuck"), Some(now()), now());
    assert_eq!(run.next(), Next::Undo(1), "tried again");
    run.start_undo(1, now());
    run.fail_undo(1, Reason::new("stuck", "stuck"), None, now());
    assert_eq!((run.head.status, run.next()), (RunStatus::UndoFailed, Next::Nothing));
    assert_eq!(run.head.error.as_ref().and_then(|error| error.step.as_deref()), Some("b"));
    assert!(run.reopen(now()));
    assert_eq!(undone_in_order(&mut run), ["b", "a"]);
    assert_eq!(run.head.status, RunStatus::Undone);
}

#[test]
fn a_failure_that_a_condition_handles_is_undone_only_with_its_run() {
    let handled = json!({"conditions": [{"name": "n", "source_task": "a", "outcome": "success",
        "target_task_success": "b", "target_task_failure": "c"}]});
    let mut good = run(handled.clone());
    fail(&mut good, broken());
    assert_eq!(good.next(), Next::Start(2));
    assert_eq!(good.step_status(1), StepStatus::Skipped);
    succeed(&mut good, false);
    assert_eq!((good.head.status, good.steps[0].undo), (RunStatus::Succeeded, UndoStatus::None));
    let mut bad = run(handled);
    fail(&mut bad, broken());
    fail(&mut bad, broken());
    assert_eq!(undone_in_order(&mut bad), ["c", "a"]);
}

#[test]
fn an_unknown_end_is_never_handled_by_a_condition() {
    let mut run = run(json!({"conditions": [{"name": "n", "source_task": "a", "outcome": "failure",
        "target_task_success": "b", "target_task_failure": "c"}]}));
    fail(&mut run, Failure::unknown(Reason::new("step.unknown", "?")));
    assert_eq!((run.steps[0].status, run.head.status), (StepStatus::Unknown, RunStatus::Undoing));
}

#[test]
fn attempts_are_recorded_one_by_one_and_undone_once() {
    let mut run = run(json!({}));
    let position = run.start_step(0, Value::Null, true, now());
    run.retry_step(position, Reason::new("busy", "busy"), now(), now());
    assert_eq!((run.head.status, run.step_status(0)), (RunStatus::Waiting, StepStatus::Waiting));
    run.wake(now());
    assert_eq!(run.next(), Next::Start(0));
    fail(&mut run, broken());
    assert_eq!(run.steps.iter().map(|step| step.attempt).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(undone_in_order(&mut run), ["a"]);
    assert_eq!(run.steps[0].undo, UndoStatus::None);
}

#[test]
fn an_attempt_that_waits_goes_on_where_it_was() {
    let mut run = run(json!({}));
    let position = run.start_step(0, Value::Null, false, now());
    run.hold_step(position, now(), now());
    assert_eq!((run.head.status, run.next()), (RunStatus::Waiting, Next::Resume(position)));
    run.wake(now());
    run.resume_step(position);
    assert_eq!((run.head.status, run.steps[0].status), (RunStatus::Running, StepStatus::Running));
}

#[test]
fn a_succeeded_run_can_be_taken_back_unless_nothing_can_be() {
    let mut made = run(json!({}));
    (0..3).for_each(|index| succeed(&mut made, index == 1));
    assert!(made.reopen(now()));
    assert_eq!(undone_in_order(&mut made), ["b"]);
    assert_eq!((made.head.status, made.head.cause), (RunStatus::Undone, None));
    let mut nothing = run(json!({}));
    (0..3).for_each(|_| succeed(&mut nothing, false));
    assert!(!nothing.reopen(now()));
}

#[test]
fn a_key_is_made_from_caller_and_input() {
    let keyed = run(json!({"concurrency_key": "lab:${caller.id}:${input.lab}"}));
    assert_eq!(keyed.concurrency_key, Some(format!("lab:{}:web", keyed.caller.id)));
}

#[test]
fn progress_never_goes_back() {
    let mut run = run(json!({}));
    let position = run.start_step(0, Value::Null, false, now());
    run.report_progress(position, 90, "nearly", now());
    assert_eq!(run.head.percent, 30);
    run.report_progress(position, 10, "again", now());
    assert_eq!(run.head.percent, 30);
    run.succeed_step(position, Value::Null, now());
    assert_eq!(run.head.percent, 33);
}

#[test]
fn a_checkpoint_tells_the_steps_that_the_store_has_from_the_new_ones() {
    let mut run = run(json!({}));
    let owner = run.head.owner.unwrap();
    let written = |run: &mut Run| {
        let checkpoint = run.checkpoint(owner, None);
        (checkpoint.steps.iter().map(|step| step.seq).collect::<Vec<_>>(), checkpoint.known_steps)
    };
    let first = run.start_step(0, Value::Null, true, now());
    assert_eq!(written(&mut run), (vec![1], 0));
    run.succeed_step(first, json!(1), now());
    succeed(&mut run, true);
    assert_eq!(written(&mut run), (vec![1, 2], 1));
    assert_eq!(written(&mut run), (vec![], 0));
    fail(&mut run, broken());
    assert_eq!(written(&mut run), (vec![1, 2, 3], 2), "the undo of the first two is wanted now");
}

#[test]
fn a_heavy_step_has_its_share_of_the_percent() {
    let step = |name: &str, weight: u32| json!({"name": name, "task": "noop", "weight": weight});
    let mut run = run(json!({"tasks": [step("a", 1), step("b", 8), step("c", 1)]}));
    succeed(&mut run, false);
    assert_eq!(run.head.percent, 10);
    let position = run.start_step(1, Value::Null, false, now());
    run.report_progress(position, 50, "half of it", now());
    assert_eq!((run.head.percent, run.weights()), (50, (1, 10)));
    run.succeed_step(position, Value::Null, now());
    assert_eq!(run.head.percent, 90);
}
