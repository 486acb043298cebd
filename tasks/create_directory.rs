//! `create_directory`: the caller's own directory for a lab.

use async_trait::async_trait;
use flow_domain::flows::{Context, Plan, Stop, TypedTask};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub struct CreateDirectory;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The lab's name, which is the directory's name below the caller's own.
    #[schemars(regex(pattern = r"^[a-z0-9][a-z0-9._-]{0,63}$"))]
    lab: String,
}

#[derive(Serialize, JsonSchema)]
pub struct Output {
    /// The directory below the root of all learners' directories: `USER/LAB`.
    directory: String,
    /// Whether this step made it; an undo removes it only then.
    created: bool,
}

#[async_trait]
impl TypedTask for CreateDirectory {
    const NAME: &'static str = "create_directory";
    const DESCRIPTION: &'static str = "Makes the caller's directory for a lab, if it is not there.";
    const PINS_HOST: bool = true;
    const UNDOABLE: bool = true;
    type Input = Input;
    type Output = Output;

    async fn run(&self, ctx: &Context, input: Input) -> Result<Output, Stop> {
        // The first step of a launch: what cannot be launched is refused before anything is made.
        launchable(ctx, &input.lab)?;
        let (_, created) = ctx.ports.workspaces.create(ctx.caller.id, &input.lab).await?;
        // Where the root is, is nobody's business but the operator's.
        Ok(Output { directory: format!("{}/{}", ctx.caller.id, input.lab), created })
    }

    /// A step that ended without an output is left alone: nobody knows then whether the directory was there
    /// before, and an empty one too many does less harm than a learner's work lost.
    async fn undo(&self, ctx: &Context, input: Input, output: Option<Value>) -> Result<(), Stop> {
        let created = output.is_some_and(|output| output["created"] == Value::Bool(true));
        if created {
            ctx.ports.workspaces.remove(ctx.caller.id, &input.lab).await?;
        }
        Ok(())
    }

    async fn plan(&self, ctx: &Context, input: Input) -> Plan {
        Plan::new(format!("Makes the caller's directory {:?}, if it is not there.", input.lab))
            .unless(launchable(ctx, &input.lab))
    }
}

/// A directory need not be a lab's.
fn launchable(ctx: &Context, name: &str) -> Result<(), Stop> {
    let Some(lab) = ctx.ports.labs.lab(name) else { return Ok(()) };
    ctx.ports.labs.launchable(&lab).map_err(|error| Stop::fail_clean(error.code, error.public))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use flow_domain::flows::{Outcome, Task};
    use flow_domain::testing::TestContext;
    use serde_json::json;

    use super::*;

    async fn create(test: &TestContext) -> Value {
        match Task::run(&CreateDirectory, &test.context(), json!({"lab": "web"})).await {
            Outcome::Done(output) => output,
            other => panic!("not made: {other:?}"),
        }
    }

    async fn path(test: &TestContext) -> Option<PathBuf> {
        test.ports.workspaces.find(test.caller.id, "web").await.expect("the root can be read")
    }

    #[tokio::test]
    async fn an_undo_removes_what_was_made_now_and_may_come_twice() {
        let test = TestContext::new();
        let output = create(&test).await;
        assert_eq!(output["created"], true);
        assert_eq!(output["directory"], format!("{}/web", test.caller.id));
        std::fs::write(path(&test).await.expect("it is there").join("main.tf"), "")
            .expect("the directory can be written to");
        for _ in 0..2 {
            let known = Some(output.clone());
            let undone = Task::undo(&CreateDirectory, &test.context(), json!({"lab": "web"}), known).await;
            assert_eq!(undone, Outcome::Done(Value::Null));
            assert_eq!(path(&test).await, None);
        }
    }

    #[tokio::test]
    async fn an_undo_leaves_what_was_there_before() {
        let test = TestContext::new();
        create(&test).await;
        let output = create(&test).await;
        assert_eq!(output["created"], false);
        for known in [Some(output.clone()), None] {
            let undone = Task::undo(&CreateDirectory, &test.context(), json!({"lab": "web"}), known).await;
            assert_eq!(undone, Outcome::Done(Value::Null));
            assert!(path(&test).await.is_some());
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_elsewhere_is_refused() {
        let test = TestContext::new();
        for lab in ["../web", "/etc", "", ".."] {
            let outcome = Task::run(&CreateDirectory, &test.context(), json!({"lab": lab})).await;
            assert!(
                matches!(outcome, Outcome::Fail(reason) if reason.code == "workspace.name_invalid"),
                "{lab}"
            );
        }
    }
}
