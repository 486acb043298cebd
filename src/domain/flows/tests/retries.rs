use serde_json::json;

use super::runs::{broken, fail, now, run, succeed, undone_in_order};
use crate::flows::outcome::Reason;
use crate::flows::run::{Failure, Next, RunStatus};
use crate::flows::step::StepStatus;

#[test]
fn a_retry_takes_over_what_stands_and_starts_where_it_failed() {
    let mut old = run(json!({"on_failure": "stop"}));
    succeed(&mut old, true);
    fail(&mut old, broken());
    let new = old.retry(None, Some(json!({"lab": "other"})), now()).unwrap();
    assert_eq!((new.parent, new.head.status, new.next()), (Some(old.id), RunStatus::Queued, Next::Start(1)));
    assert_eq!(
        (new.steps.len(), new.steps[0].status, &new.steps[0].output),
        (1, StepStatus::Succeeded, &old.steps[0].output)
    );
    assert_eq!(new.outputs().keys().collect::<Vec<_>>(), ["a"]);
    assert_eq!(*new.input, json!({"lab": "other"}));
}

#[test]
fn the_undo_of_what_was_taken_over_moves_along() {
    let mut old = run(json!({"on_failure": "stop"}));
    succeed(&mut old, true);
    fail(&mut old, broken());
    let mut new = old.retry(None, None, now()).unwrap();
    new.claim(crate::WorkerId::new(), now());
    succeed(&mut new, true);
    succeed(&mut new, false);
    assert_eq!(new.head.status, RunStatus::Succeeded);
    let numbers: Vec<i64> =
        new.steps.iter().flat_map(|step| [Some(step.started_event), step.finished_event]).flatten().collect();
    assert_eq!(numbers, (3..=8).collect::<Vec<_>>(), "no number twice, none left out");
    assert!(new.reopen(now()));
    assert_eq!(undone_in_order(&mut new), ["b", "a"]);
}

#[test]
fn a_step_that_was_taken_back_cannot_be_taken_over() {
    let mut old = run(json!({}));
    succeed(&mut old, true);
    succeed(&mut old, false);
    fail(&mut old, broken());
    undone_in_order(&mut old);
    let refused = old.retry(Some("c"), None, now()).unwrap_err();
    assert_eq!(refused.code, "retry.undone_before");
    assert!(refused.public.contains("\"a\""), "{}", refused.public);
    assert_eq!(old.retry(Some("a"), None, now()).unwrap().next(), Next::Start(0));
}

#[test]
fn what_was_never_reached_cannot_be_gone_on_from() {
    let mut old = run(json!({}));
    fail(&mut old, Failure::clean(Reason::new("no", "no")));
    assert_eq!(old.retry(Some("c"), None, now()).unwrap_err().code, "retry.never_reached");
    assert_eq!(old.retry(Some("ghost"), None, now()).unwrap_err().code, "query.invalid");
}

#[test]
fn a_run_that_goes_on_or_hangs_in_its_undo_cannot_be_retried() {
    let mut going = run(json!({}));
    assert_eq!(going.retry(None, None, now()).unwrap_err().code, "run.not_retryable");
    succeed(&mut going, true);
    fail(&mut going, broken());
    going.fail_undo(1, Reason::new("stuck", "stuck"), None, now());
    assert_eq!(going.retry(None, None, now()).unwrap_err().code, "run.not_retryable");
}
