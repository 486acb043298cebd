//! The rules of flows, without any I/O.

mod definitions;
mod retries;
mod runs;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::context::Context;
use super::definition::Definition;
use super::outcome::Stop;
use super::registry::Registry;
use super::task::TypedTask;

/// Gives back what it is given.
struct Echo;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EchoInput {
    #[serde(default)]
    count: u32,
    #[serde(default)]
    value: Value,
}

#[derive(Serialize, JsonSchema)]
struct EchoOutput {
    value: Value,
}

#[async_trait]
impl TypedTask for Echo {
    const NAME: &'static str = "echo";
    const DESCRIPTION: &'static str = "Gives back what it is given.";
    type Input = EchoInput;
    type Output = EchoOutput;

    async fn run(&self, _: &Context, input: EchoInput) -> Result<EchoOutput, Stop> {
        Ok(EchoOutput { value: if input.count > 0 { input.count.into() } else { input.value } })
    }
}

fn registry() -> Registry {
    Registry::new(vec![Arc::new(Echo)]).unwrap()
}

fn definition(value: Value) -> Definition {
    serde_json::from_value::<Definition>(value).unwrap().resolved(&BTreeMap::new())
}
