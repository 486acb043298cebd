//! The kit finds what it is for.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::*;
use crate::flows::{Context, Stop, TypedTask};

/// What is wrong with it, if anything is.
#[derive(Clone, Copy, PartialEq)]
enum Flaw {
    None,
    /// Each time it runs it adds another row.
    RunsTwice,
    /// It does what it says it does not.
    CallsItselfPure,
    /// It takes nothing back.
    ForgetsItsUndo,
}

struct Keep(Flaw);

#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Input {}

#[async_trait]
impl TypedTask for Keep {
    const NAME: &'static str = "keep";
    const DESCRIPTION: &'static str = "Keeps a row.";
    const UNDOABLE: bool = true;
    type Input = Input;
    type Output = Value;

    async fn run(&self, ctx: &Context, _: Input) -> Result<Value, Stop> {
        let set = if self.0 == Flaw::RunsTwice { RunId::new().to_string() } else { ctx.step.clone() };
        ctx.ports.datasets.put("kept", ctx.run, &set, vec![Map::new()]).await?;
        Ok(Value::Null)
    }

    async fn undo(&self, ctx: &Context, _: Input, _: Option<Value>) -> Result<(), Stop> {
        if self.0 == Flaw::ForgetsItsUndo {
            return Ok(());
        }
        ctx.ports.datasets.remove("kept", ctx.run, &ctx.step).await?;
        Ok(())
    }
}

/// As `Keep`, but it cannot be taken back and says that it does nothing.
struct Sly;

#[async_trait]
impl TypedTask for Sly {
    const NAME: &'static str = "keep";
    const DESCRIPTION: &'static str = "Keeps a row.";
    type Input = Input;
    type Output = Value;

    fn effect(&self) -> Effect {
        Effect::Pure
    }

    async fn run(&self, ctx: &Context, _: Input) -> Result<Value, Stop> {
        ctx.ports.datasets.put("kept", ctx.run, &RunId::new().to_string(), vec![Map::new()]).await?;
        Ok(Value::Null)
    }
}

fn test_of(flaw: Flaw) -> CrashTest {
    let task: Arc<dyn Task> = match flaw {
        Flaw::CallsItselfPure => Arc::new(Sly),
        flaw => Arc::new(Keep(flaw)),
    };
    CrashTest::of(json!({"name": "keep", "tasks": [{"name": "keep"}]}), vec![task])
}

fn is_found(test: &CrashTest) -> bool {
    catch_unwind(AssertUnwindSafe(|| crash_after_each_checkpoint(test))).is_err()
}

#[test]
fn a_task_without_a_flaw_passes_and_is_counted() {
    let row = crash_after_each_checkpoint(&test_of(Flaw::None));
    assert_eq!((row.boundaries, row.within, row.deaths()), (3, 1, 7));
    assert_eq!(row.ends, [("never accepted".to_owned(), 1), ("succeeded".to_owned(), 6)].into());
    let row = crash_after_each_checkpoint(&test_of(Flaw::None).that_fails());
    assert_eq!(row.ends.keys().collect::<Vec<_>>(), ["never accepted", "undone"]);
    let table = CrashTable(vec![row]).to_string();
    assert!(table.contains("| keep, taken back |") && table.contains("| keep |\n"), "{table}");
}

#[test]
fn a_task_that_does_it_twice_is_found() {
    assert!(is_found(&test_of(Flaw::RunsTwice)));
    assert!(is_found(&test_of(Flaw::CallsItselfPure)));
}

#[test]
fn what_an_undo_leaves_is_counted() {
    // It leaves as much undisturbed: whether it may is for whoever reads the row to say.
    let row = crash_after_each_checkpoint(&test_of(Flaw::ForgetsItsUndo).that_fails());
    assert_eq!(row.effects, "1 rows");
    assert_eq!(crash_after_each_checkpoint(&test_of(Flaw::None).that_fails()).effects, "nothing");
}

#[test]
fn a_flow_that_does_not_end_as_meant_proves_nothing() {
    let test = CrashTest::of(json!({"name": "f", "tasks": [{"name": "fails_for_good"}]}), vec![]);
    assert!(is_found(&test));
}
