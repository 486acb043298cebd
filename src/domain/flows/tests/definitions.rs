use serde_json::{Value, json};

use super::{definition, registry};
use crate::flows::check::check;
use crate::flows::definition::Route;

fn faults(value: Value) -> Vec<(String, String)> {
    check(&definition(value), &registry(), "/flow")
        .into_iter()
        .map(|fault| (fault.pointer, fault.code))
        .collect()
}

fn has(found: &[(String, String)], pointer: &str, code: &str) -> bool {
    found.contains(&(pointer.to_owned(), code.to_owned()))
}

fn step(name: &str) -> Value {
    json!({"name": name, "task": "echo"})
}

fn condition(source: &str, outcome: &str, success: &str, failure: &str) -> Value {
    json!({"name": format!("after {source}"), "source_task": source, "outcome": outcome,
           "target_task_success": success, "target_task_failure": failure})
}

#[test]
fn a_plain_chain_has_no_faults_and_runs_in_its_order() {
    let value = json!({"name": "f", "tasks": [step("a"), step("b")]});
    assert_eq!(faults(value.clone()), []);
    let flow = definition(value);
    assert_eq!(flow.route(0, true), Route::Step(1));
    assert_eq!(flow.route(1, true), Route::Succeed);
    assert_eq!(flow.route(0, false), Route::Fail);
}

#[test]
fn every_fault_is_listed_at_once() {
    let found = faults(json!({
        "name": "", "start_task": "nowhere",
        "tasks": [step("a"), step("a"), {"name": "end", "task": "echo"}, {"name": "x y", "task": "eho"},
                  {"name": "t", "task": "echo", "timeout_s": 0, "attempts": 101, "input": {"cuont": 1}}],
        "conditions": [condition("b", "success", "c", "end"), condition("a", "success", "end", "end"),
                       condition("a", "failure", "end", "end")]
    }));
    for (pointer, code) in [
        ("/flow/name", "flow.name_invalid"),
        ("/flow/start_task", "flow.target_unknown"),
        ("/flow/tasks/1/name", "task.name_taken"),
        ("/flow/tasks/2/name", "task.name_invalid"),
        ("/flow/tasks/3/name", "task.name_invalid"),
        ("/flow/tasks/3/task", "task.unknown"),
        ("/flow/tasks/4/timeout_s", "task.timeout_invalid"),
        ("/flow/tasks/4/attempts", "task.attempts_invalid"),
        ("/flow/tasks/4/input/cuont", "task.input_invalid"),
        ("/flow/conditions/0/source_task", "flow.target_unknown"),
        ("/flow/conditions/0/target_task_success", "flow.target_unknown"),
        ("/flow/conditions/2/source_task", "flow.condition_doubled"),
    ] {
        assert!(has(&found, pointer, code), "{pointer} {code} is missing in {found:#?}");
    }
}

#[test]
fn a_step_named_like_a_task_needs_no_task() {
    assert_eq!(faults(json!({"name": "f", "tasks": [{"name": "echo"}]})), []);
    let unknown = faults(json!({"name": "f", "tasks": [{"name": "other"}]}));
    assert!(has(&unknown, "/flow/tasks/0/name", "task.unknown"), "{unknown:?}");
}

#[test]
fn a_cycle_is_a_fault() {
    let found = faults(json!({"name": "f", "tasks": [step("a"), step("b")],
                              "conditions": [condition("b", "success", "a", "end")]}));
    assert!(has(&found, "/flow/conditions/0", "flow.cycle"), "{found:?}");
}

#[test]
fn conditions_choose_the_next_step() {
    let flow = definition(json!({"name": "f", "tasks": [step("a"), step("b"), step("c")],
        "conditions": [condition("a", "success", "c", "b"), condition("b", "failure", "c", "end")]}));
    assert_eq!((flow.route(0, true), flow.route(0, false)), (Route::Step(2), Route::Step(1)));
    assert_eq!((flow.route(1, false), flow.route(1, true)), (Route::Step(2), Route::Succeed));
    assert_eq!((flow.route(2, true), flow.route(2, false)), (Route::Succeed, Route::Fail));
}

#[test]
fn a_reference_must_lead_to_a_step_that_has_succeeded_on_every_path() {
    let referring = |name: &str, to: &str| json!({"name": name, "task": "echo", "input": {"value": format!("${{tasks.{to}.output}}")}});
    assert_eq!(faults(json!({"name": "f", "tasks": [step("a"), referring("b", "a")]})), []);
    let later = faults(json!({"name": "f", "tasks": [referring("a", "b"), step("b")]}));
    assert!(has(&later, "/flow/tasks/0/input/value", "reference.not_before"), "{later:?}");
    let itself = faults(json!({"name": "f", "tasks": [referring("a", "a")]}));
    assert!(has(&itself, "/flow/tasks/0/input/value", "reference.not_before"), "{itself:?}");
    let unknown = faults(json!({"name": "f", "tasks": [referring("a", "ghost")]}));
    assert!(has(&unknown, "/flow/tasks/0/input/value", "reference.unknown"), "{unknown:?}");
    let round = faults(json!({"name": "f", "tasks": [step("a"), step("b"), referring("c", "b")],
                              "conditions": [condition("a", "success", "c", "b")]}));
    assert!(has(&round, "/flow/tasks/2/input/value", "reference.not_before"), "{round:?}");
    let handled = faults(json!({"name": "f", "tasks": [step("a"), referring("b", "a")],
                                "conditions": [condition("a", "success", "b", "b")]}));
    assert!(has(&handled, "/flow/tasks/1/input/value", "reference.not_before"), "a failed: {handled:?}");
}

#[test]
fn what_a_reference_brings_is_not_judged_before_it_is_there() {
    let value =
        json!({"name": "f", "tasks": [{"name": "a", "task": "echo", "input": {"count": "${input.n}"}}]});
    assert_eq!(faults(value), []);
    let literal =
        faults(json!({"name": "f", "tasks": [{"name": "a", "task": "echo", "input": {"count": "three"}}]}));
    assert!(has(&literal, "/flow/tasks/0/input/count", "task.input_invalid"), "{literal:?}");
}

#[test]
fn a_concurrency_key_refers_to_what_is_known_at_the_start() {
    let with_key = |key: &str| json!({"name": "f", "tasks": [step("a")], "concurrency_key": key});
    assert_eq!(faults(with_key("lab:${caller.id}:${input.lab}")), []);
    let early = faults(with_key("${tasks.a.output}"));
    assert!(has(&early, "/flow/concurrency_key", "reference.too_early"), "{early:?}");
}
