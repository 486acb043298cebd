//! `store_data`: keeps rows in a dataset of the service's own.

use async_trait::async_trait;
use flow_domain::datasets::Row;
use flow_domain::flows::{Context, Plan, Policy, Stop, TypedTask};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub struct StoreData;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Where the rows belong: 1 to 64 lower-case letters, digits, `_` or `-`.
    #[schemars(regex(pattern = r"^[a-z0-9_-]{1,64}$"))]
    dataset: String,
    /// The rows, objects of columns.
    rows: Vec<Row>,
}

#[derive(Serialize, JsonSchema)]
pub struct Output {
    /// Where the rows are.
    dataset: String,
    /// How many rows of this step stand there now.
    stored: u64,
}

#[async_trait]
impl TypedTask for StoreData {
    const NAME: &'static str = "store_data";
    const DESCRIPTION: &'static str = "Stores rows in a dataset, once however often the step runs.";
    const UNDOABLE: bool = true;
    type Input = Input;
    type Output = Output;

    fn policy(&self) -> Policy {
        Policy { attempts: 3, ..Policy::default() }
    }

    async fn run(&self, ctx: &Context, input: Input) -> Result<Output, Stop> {
        // The schema says the same; a name that came by reference was not checked against it yet.
        let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
        if input.dataset.is_empty() || input.dataset.len() > 64 || !input.dataset.chars().all(known) {
            let detail = "A dataset's name is 1 to 64 lower-case letters, digits, _ or -.";
            return Err(Stop::fail_clean("dataset.name_invalid", detail));
        }
        let stored = ctx.ports.datasets.put(&input.dataset, ctx.run, &ctx.step, input.rows).await?;
        Ok(Output { dataset: input.dataset, stored })
    }

    async fn undo(&self, ctx: &Context, input: Input, _output: Option<Value>) -> Result<(), Stop> {
        ctx.ports.datasets.remove(&input.dataset, ctx.run, &ctx.step).await?;
        Ok(())
    }

    async fn plan(&self, _ctx: &Context, input: Input) -> Plan {
        Plan::new(format!("Stores {} rows in the dataset {:?}.", input.rows.len(), input.dataset))
    }
}

#[cfg(test)]
mod tests {
    use flow_domain::RunId;
    use flow_domain::flows::{Outcome, Task};
    use flow_domain::testing::TestContext;
    use serde_json::json;

    use super::*;

    async fn stored(test: &TestContext) -> usize {
        test.ports.datasets.rows("plants", 100).await.expect("datasets in memory do not fail").len()
    }

    #[tokio::test]
    async fn storing_twice_stores_once_and_an_undo_takes_this_runs_rows_only() {
        let mut test = TestContext::new();
        let input = json!({"dataset": "plants", "rows": [{"name": "a"}, {"name": "b"}]});
        for _ in 0..2 {
            let outcome = Task::run(&StoreData, &test.context(), input.clone()).await;
            assert_eq!(outcome, Outcome::Done(json!({"dataset": "plants", "stored": 2})));
            assert_eq!(stored(&test).await, 2);
        }
        let first = std::mem::replace(&mut test.run, RunId::new());
        Task::run(&StoreData, &test.context(), input.clone()).await;
        assert_eq!(stored(&test).await, 4);
        test.run = first;
        for _ in 0..2 {
            let undone = Task::undo(&StoreData, &test.context(), input.clone(), None).await;
            assert_eq!(undone, Outcome::Done(Value::Null));
            assert_eq!(stored(&test).await, 2);
        }
    }

    #[tokio::test]
    async fn two_steps_of_one_run_do_not_replace_each_other() {
        let mut test = TestContext::new();
        for step in ["one", "two"] {
            test.step = step.to_owned();
            Task::run(&StoreData, &test.context(), json!({"dataset": "plants", "rows": [{}]})).await;
        }
        assert_eq!(stored(&test).await, 2);
    }

    #[tokio::test]
    async fn a_bad_name_and_rows_that_are_none_are_refused_before_anything_is_stored() {
        let ctx = TestContext::new().context();
        let long = "a".repeat(65);
        for dataset in ["", "Plants", "a b", "a;drop", &long] {
            let outcome = Task::run(&StoreData, &ctx, json!({"dataset": dataset, "rows": []})).await;
            assert!(
                matches!(outcome, Outcome::FailClean(why) if why.code == "dataset.name_invalid"),
                "{dataset}"
            );
        }
        let outcome = Task::run(&StoreData, &ctx, json!({"dataset": "plants", "rows": [1]})).await;
        assert!(matches!(outcome, Outcome::FailClean(why) if why.code == "task.input_invalid"));
    }
}
