//! `noop`: does nothing. For trying out flows, and for measuring what a step costs.

use async_trait::async_trait;
use flow_domain::flows::{Context, Stop, TypedTask};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub struct Noop;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Anything; it comes back in the output.
    value: Option<Value>,
}

#[derive(Serialize, JsonSchema)]
pub struct Output {
    /// What the input held; absent when it held none.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Value>,
}

#[async_trait]
impl TypedTask for Noop {
    const NAME: &'static str = "noop";
    const DESCRIPTION: &'static str = "Does nothing and hands its value on.";
    type Input = Input;
    type Output = Output;

    async fn run(&self, _ctx: &Context, input: Input) -> Result<Output, Stop> {
        Ok(Output { value: input.value })
    }
}

#[cfg(test)]
mod tests {
    use flow_domain::flows::{Outcome, Task};
    use flow_domain::testing::TestContext;
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn hands_its_value_on() {
        let ctx = TestContext::new().context();
        for (input, output) in [
            (json!({"value": {"a": [1]}}), json!({"value": {"a": [1]}})),
            (json!({}), json!({})),
            (Value::Null, json!({})),
        ] {
            assert_eq!(Task::run(&Noop, &ctx, input).await, Outcome::Done(output));
        }
    }
}
