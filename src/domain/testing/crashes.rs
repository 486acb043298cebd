//! Crashes: a flow is run once undisturbed, and then again and again in a process that dies at one of its writes, a
//! time before and a time after the write is durable, or in the middle of a task, before one of its effects on the
//! world. Another process goes on, and the end must be the same.
//!
//! All of it is in memory, and waits take no time: each process has a runtime of its own whose clock is paused, and
//! its death is the end of that runtime.

mod end;
mod process;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

pub use end::{Effects, End};
pub use table::{CrashRow, CrashTable};

use super::flow_store::{Kill, MemoryFlowStore};
use super::{FailsForGood, TestContext};
use crate::flows::catalogue::Flow;
use crate::flows::run::{Run, Start};
use crate::flows::{Alias, Definition, Effect, Registry, Task};
use crate::{RunId, clock};

/// What a crash test needs to know. Every trial begins with a world of its own.
pub struct CrashTest {
    name: String,
    definition: Value,
    input: Value,
    before: Vec<(Value, Value)>,
    aliases: BTreeMap<String, Alias>,
    world: Box<dyn Fn() -> TestContext + Send + Sync>,
    /// The time at which every trial begins.
    began: Timestamp,
    fails: bool,
    /// Effects that may be left over, with the reason.
    tolerated: BTreeMap<&'static str, &'static str>,
    pub(super) registry: Arc<Registry>,
}

impl CrashTest {
    /// A flow of these tasks, in the form of a request.
    ///
    /// Panics when it has faults, or when the tasks break a law of the engine: it is called by tests.
    pub fn of(definition: Value, tasks: Vec<Arc<dyn Task>>) -> Self {
        let tasks = tasks.into_iter().chain([Arc::new(FailsForGood) as Arc<dyn Task>]).collect();
        let registry = Registry::new(tasks).unwrap_or_else(|why| panic!("{why}"));
        Self::over(definition, Arc::new(registry))
    }

    /// The same over a registry that is made already; it has the task [`FailsForGood`].
    pub fn over(definition: Value, registry: Arc<Registry>) -> Self {
        Self {
            name: definition["name"].as_str().unwrap_or_default().to_owned(),
            definition,
            input: json!({}),
            before: Vec::new(),
            aliases: BTreeMap::new(),
            world: Box::new(TestContext::new),
            tolerated: BTreeMap::new(),
            began: clock::now(),
            fails: false,
            registry,
        }
    }

    /// What the run is started with.
    pub fn with_input(mut self, input: Value) -> Self {
        self.input = input;
        self
    }

    /// What is there at the beginning of each trial: users, files, a network. Its caller starts the run.
    pub fn in_world(mut self, world: impl Fn() -> TestContext + Send + Sync + 'static) -> Self {
        self.world = Box::new(world);
        self
    }

    /// A flow that has ended well before.
    pub fn after(mut self, definition: Value, input: Value) -> Self {
        self.before.push((definition, input));
        self
    }

    pub fn with_aliases(mut self, aliases: BTreeMap<String, Alias>) -> Self {
        self.aliases = aliases;
        self
    }

    /// The same flow with one more step, which fails: all that was done is taken back.
    pub fn that_fails(mut self) -> Self {
        let step = json!({"name": "fails", "task": FailsForGood::TASK});
        self.definition["tasks"].as_array_mut().expect("a flow has tasks").push(step);
        self.definition["on_failure"] = json!("undo");
        self.name += ", taken back";
        self.fails = true;
        self
    }

    /// More of this effect may be left after a crash than without one.
    pub fn tolerates(mut self, effect: &'static str, because: &'static str) -> Self {
        self.tolerated.insert(effect, because);
        self
    }

    fn new_run(&self, definition: &Value, input: &Value, world: &TestContext) -> Run {
        let definition: Definition = serde_json::from_value(definition.clone())
            .unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let flow = Flow::new(definition, &self.registry, &self.aliases, "")
            .unwrap_or_else(|faults| panic!("{}: {faults:?}", self.name));
        assert_eq!(flow.input_faults(input), [], "{}: the input fits", self.name);
        let start = Start {
            definition: flow.definition.clone(),
            definition_hash: flow.hash.clone(),
            caller: world.caller.clone(),
            input: Arc::new(input.clone()),
            parent: None,
        };
        Run::new(start, self.began)
    }

    /// Runs the flow, with a death at one of its writes or without; none: the run was never accepted.
    fn trial(&self, death: Option<(usize, Kill)>) -> (Option<End>, [usize; 2]) {
        let (world, store) = ((self.world)(), Arc::new(MemoryFlowStore::default()));
        let mut now = self.began;
        for (definition, input) in &self.before {
            let run = self.new_run(definition, input, &world);
            let id = run.id;
            now = process::live(&world, &self.registry, &store, now, id, Some(run));
            let end = self.end(&store, id, &world).expect("it was stored");
            assert_eq!(end.status, "succeeded", "{}: what went before: {end:?}", self.name);
        }
        let run = self.new_run(&self.definition, &self.input, &world);
        let id = run.id;
        store.set_trap(death);
        now = process::live(&world, &self.registry, &store, now, id, Some(run));
        let counts = [store.writes(), store.effects()];
        if death.is_some() {
            assert!(store.is_sprung(), "{}: {death:?} never came", self.name);
            store.set_trap(None);
            process::live(&world, &self.registry, &store, now, id, None);
        }
        (self.end(&store, id, &world), counts)
    }

    fn end(&self, store: &MemoryFlowStore, id: RunId, world: &TestContext) -> Option<End> {
        let run = process::alone(|| async { store.run_now(id) })?;
        let events = process::alone(|| async { store.events_now(id) });
        Some(End::of(&run, &events, world.effects()))
    }

    /// A step that must not run twice and of which nobody can say what became of it: the run then fails, and is taken
    /// back, rather than that it does the step again.
    fn is_honest_doubt(&self, end: &End) -> bool {
        let once =
            |task: &str| self.registry.get(task).is_some_and(|known| known.task.effect() == Effect::Once);
        end.steps.iter().any(|step| step.status == "unknown" && once(&step.task))
    }
}

/// Kills the process that runs this flow before and after each of its writes and before each effect that its tasks have
/// on the fakes, lets another go on, and holds the end
/// against that of a run which nobody disturbed: its status, its steps, what was taken back in which order, and the
/// effects on the world.
///
/// Panics with every difference there is.
pub fn crash_after_each_checkpoint(test: &CrashTest) -> CrashRow {
    let (wanted, [writes, effects]) = test.trial(None);
    let wanted = wanted.expect("an undisturbed run is stored");
    let ends: &[&str] = if test.fails { &["undone", "failed"] } else { &["succeeded"] };
    let as_meant = ends.contains(&wanted.status.as_str()) && wanted.failed_in(test.fails.then_some("fails"));
    assert!(as_meant, "{}: undisturbed, it does not end as it was meant to: {wanted:#?}", test.name);
    let mut row = CrashRow::new(&test.name, writes, effects, &wanted);
    let mut faults = Vec::new();
    let at_writes = (1..=writes).flat_map(|at| [(at, Kill::Before), (at, Kill::After)]);
    for (at, kill) in at_writes.chain((1..=effects).map(|at| (at, Kill::Within))) {
        match test.trial(Some((at, kill))).0 {
            None if (at, kill) == (1, Kill::Before) => row.count("never accepted"),
            None => faults.push(format!("{kill:?} {at}: the run is lost")),
            Some(end) if end == wanted => row.count(&end.status),
            Some(end) if test.is_honest_doubt(&end) && end.effects.within(&wanted.effects) => {
                row.count(&format!("{}, one step unknown", end.status));
            }
            Some(end) => match end.left_over(&wanted, &test.tolerated) {
                Some(what) => row.count(&format!("{}, {what}", end.status)),
                None => faults.push(format!("{kill:?} {at}: {end:#?}")),
            },
        }
    }
    assert!(faults.is_empty(), "{}: undisturbed it ends as {wanted:#?}\n\n{}", test.name, faults.join("\n"));
    row
}
