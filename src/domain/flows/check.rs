//! Checks a definition before anything of it runs: one answer that lists every fault with its JSON pointer.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::definition::{Definition, END, Route};
use super::reference::{Reference, Root, walk};
use super::registry::Registry;
use super::schedule::Schedule;
use crate::Fault;

/// More steps than this are refused: a run's steps are kept in memory while it runs.
const MOST_STEPS: usize = 200;
/// A limit that is never reached is none.
const MOST_AT_ONCE: u32 = 10_000;

/// Every fault of `definition`, whose own pointer is `at`. Task names and inputs must be resolved already.
pub fn check(definition: &Definition, registry: &Registry, at: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    check_shape(definition, at, &mut faults);
    check_names(definition, at, &mut faults);
    check_targets(definition, at, &mut faults);
    // A graph with unknown targets or doubled names says nothing about cycles and paths.
    let paths = match faults.is_empty() {
        true => check_cycles(definition, at, &mut faults),
        false => None,
    };
    check_tasks(definition, registry, at, &mut faults);
    check_references(definition, at, paths, &mut faults);
    faults
}

fn check_shape(definition: &Definition, at: &str, faults: &mut Vec<Fault>) {
    if definition.name.is_empty() || definition.name.len() > 200 {
        faults.push(Fault::new(format!("{at}/name"), "flow.name_invalid", "1 to 200 characters"));
    }
    if definition.tasks.is_empty() {
        faults.push(Fault::new(format!("{at}/tasks"), "flow.no_tasks", "a flow needs at least one task"));
    }
    if definition.tasks.len() > MOST_STEPS {
        let detail = format!("{} tasks, at most {MOST_STEPS}", definition.tasks.len());
        faults.push(Fault::new(format!("{at}/tasks"), "flow.too_many_tasks", detail));
    }
    if let Some(start) = &definition.start_task
        && definition.index_of(start).is_none()
    {
        let detail = format!("no task is named {start:?}");
        faults.push(Fault::new(format!("{at}/start_task"), "flow.target_unknown", detail));
    }
    if definition.at_once.is_some_and(|most| !(1..=MOST_AT_ONCE).contains(&most)) {
        let detail = format!("1 to {MOST_AT_ONCE} runs at once");
        faults.push(Fault::new(format!("{at}/at_once"), "flow.at_once_invalid", detail));
    }
    if let Some(fault) = definition.schedule.as_ref().and_then(Schedule::fault) {
        faults.push(Fault::new(format!("{at}/schedule"), "flow.schedule_invalid", fault));
    }
    for (field, text) in [("on_event", &definition.on_event), ("runs_on", &definition.runs_on)] {
        if text.as_ref().is_some_and(|text| text.is_empty() || text.len() > 200) {
            faults.push(Fault::new(format!("{at}/{field}"), "flow.name_invalid", "1 to 200 bytes"));
        }
    }
    if let Some(key) = &definition.concurrency_key {
        let here = format!("{at}/concurrency_key");
        let (mut found, mut broken) = (Vec::new(), Vec::new());
        walk(
            &Value::String(key.clone()),
            &here,
            &mut |_, reference| found.push(reference.clone()),
            &mut |_, why| broken.push(why),
        );
        faults.extend(broken.into_iter().map(|why| Fault::new(&here, "reference.invalid", why)));
        for reference in found {
            if !matches!(reference.root, Root::Input | Root::Caller) {
                let detail =
                    format!("${{{}}}: only input and caller are known before the run starts", reference.text);
                faults.push(Fault::new(&here, "reference.too_early", detail));
            }
        }
    }
}

fn check_names(definition: &Definition, at: &str, faults: &mut Vec<Fault>) {
    let mut seen = BTreeSet::new();
    for (position, step) in definition.tasks.iter().enumerate() {
        let here = format!("{at}/tasks/{position}/name");
        let known = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if step.name.is_empty() || step.name.len() > 64 || !step.name.chars().all(known) {
            faults.push(Fault::new(&here, "task.name_invalid", "1 to 64 letters, digits, - or _"));
        } else if step.name == END {
            faults.push(Fault::new(&here, "task.name_invalid", "\"end\" is the target that ends a flow"));
        } else if !seen.insert(&step.name) {
            faults.push(Fault::new(&here, "task.name_taken", format!("two tasks are named {:?}", step.name)));
        }
    }
}

fn check_targets(definition: &Definition, at: &str, faults: &mut Vec<Fault>) {
    let mut sources = BTreeSet::new();
    for (position, condition) in definition.conditions.iter().enumerate() {
        let here = format!("{at}/conditions/{position}");
        let mut unknown = |field: &str, name: &str| {
            if definition.index_of(name).is_none() {
                let detail = format!("no task is named {name:?}");
                faults.push(Fault::new(format!("{here}/{field}"), "flow.target_unknown", detail));
            }
        };
        unknown("source_task", &condition.source_task);
        for (field, target) in [
            ("target_task_success", &condition.target_task_success),
            ("target_task_failure", &condition.target_task_failure),
        ] {
            if target != END {
                unknown(field, target);
            }
        }
        if !sources.insert(&condition.source_task) {
            let detail = format!("{:?} has a condition already; one per source task", condition.source_task);
            faults.push(Fault::new(format!("{here}/source_task"), "flow.condition_doubled", detail));
        }
    }
}

/// Steps in an order in which each comes after all that lead to it, or a step on a cycle.
pub(super) fn order(definition: &Definition) -> Result<Vec<usize>, usize> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    fn visit(d: &Definition, at: usize, marks: &mut [Mark], order: &mut Vec<usize>) -> Result<(), usize> {
        match marks[at] {
            Mark::Done => return Ok(()),
            Mark::Open => return Err(at),
            Mark::New => marks[at] = Mark::Open,
        }
        for succeeded in [true, false] {
            if let Route::Step(next) = d.route(at, succeeded) {
                visit(d, next, marks, order)?;
            }
        }
        marks[at] = Mark::Done;
        order.push(at);
        Ok(())
    }
    let mut marks = vec![Mark::New; definition.tasks.len()];
    let mut order = Vec::with_capacity(definition.tasks.len());
    visit(definition, definition.start(), &mut marks, &mut order)?;
    order.reverse();
    Ok(order)
}

/// The steps in order, if there is no cycle.
fn check_cycles(definition: &Definition, at: &str, faults: &mut Vec<Fault>) -> Option<Vec<usize>> {
    let step = match order(definition) {
        Ok(order) => return Some(order),
        Err(step) => step,
    };
    let name = &definition.tasks[step].name;
    let pointer = definition
        .conditions
        .iter()
        .position(|condition| {
            condition.target_task_success == *name || condition.target_task_failure == *name
        })
        .map_or(format!("{at}/tasks/{step}"), |position| format!("{at}/conditions/{position}"));
    faults.push(Fault::new(pointer, "flow.cycle", format!("the flow comes back to {name:?}; it must not")));
    None
}

fn check_tasks(definition: &Definition, registry: &Registry, at: &str, faults: &mut Vec<Fault>) {
    for (position, step) in definition.tasks.iter().enumerate() {
        let here = format!("{at}/tasks/{position}");
        let name = step.task_name();
        let Some(registered) = registry.get(name) else {
            let hint =
                registry.nearest(name).map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
            let pointer = format!("{here}/{}", if name == step.name { "name" } else { "task" });
            faults.push(Fault::new(pointer, "task.unknown", format!("no task is called {name:?}{hint}")));
            continue;
        };
        if step.timeout_s.is_some_and(|seconds| seconds == 0 || seconds > 86_400) {
            faults.push(Fault::new(
                format!("{here}/timeout_s"),
                "task.timeout_invalid",
                "1 to 86400 seconds",
            ));
        }
        if step.attempts.is_some_and(|attempts| attempts == 0 || attempts > 100) {
            faults.push(Fault::new(format!("{here}/attempts"), "task.attempts_invalid", "1 to 100"));
        }
        if step.weight.is_some_and(|weight| weight == 0 || weight > 1000) {
            faults.push(Fault::new(format!("{here}/weight"), "task.weight_invalid", "1 to 1000"));
        }
        let input = step.input.clone().unwrap_or_else(|| Value::Object(Default::default()));
        let input_at = format!("{here}/input");
        let mut referring = BTreeSet::new();
        let mut broken = Vec::new();
        walk(
            &input,
            &input_at,
            &mut |pointer, _| {
                referring.insert(pointer.to_owned());
            },
            &mut |pointer, why| broken.push(Fault::new(pointer, "reference.invalid", why)),
        );
        faults.extend(broken);
        // What a reference brings is known only when the step starts; it is checked again then.
        let settled = |fault: &Fault| {
            !referring.iter().any(|pointer| {
                pointer.starts_with(&fault.pointer) && fault.pointer.len() > input_at.len()
                    || *pointer == fault.pointer
            })
        };
        faults.extend(registered.faults(&input, &input_at).into_iter().filter(settled));
    }
}

/// A reference must lead to a step, and, where the paths are known, to one that has succeeded on every path to here.
fn check_references(definition: &Definition, at: &str, order: Option<Vec<usize>>, faults: &mut Vec<Fault>) {
    let done = order.map(|order| succeeded_before(definition, &order)).unwrap_or_default();
    for (position, step) in definition.tasks.iter().enumerate() {
        let Some(input) = &step.input else { continue };
        let mut check = |pointer: &str, reference: &Reference| {
            let Root::Output(source) = &reference.root else { return };
            let fault = match definition.index_of(source) {
                None => Some(("reference.unknown", format!("no task is named {source:?}"))),
                Some(index) if done.get(&position).is_some_and(|known| !known.contains(&index)) => {
                    let detail = format!("{source:?} has not succeeded on every path to {:?}", step.name);
                    Some(("reference.not_before", detail))
                }
                Some(_) => None,
            };
            if let Some((code, detail)) = fault {
                faults.push(Fault::new(pointer, code, detail));
            }
        };
        walk(input, &format!("{at}/tasks/{position}/input"), &mut check, &mut |_, _| {});
    }
}

/// For each step that can be reached: the steps that have succeeded on every path to it.
fn succeeded_before(definition: &Definition, order: &[usize]) -> BTreeMap<usize, BTreeSet<usize>> {
    let mut done: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::from([(definition.start(), BTreeSet::new())]);
    for &step in order {
        let before = done.get(&step).cloned().unwrap_or_default();
        for succeeded in [true, false] {
            let Route::Step(next) = definition.route(step, succeeded) else { continue };
            let mut after = before.clone();
            if succeeded {
                after.insert(step);
            }
            done.entry(next).and_modify(|known| known.retain(|step| after.contains(step))).or_insert(after);
        }
    }
    done
}
