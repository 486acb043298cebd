//! A task that fails, so that what came before it is taken back.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::flows::{Context, Stop, TypedTask};

pub struct FailsForGood;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {}

#[derive(Serialize, JsonSchema)]
pub struct Output {}

impl FailsForGood {
    pub const TASK: &str = "fails_for_good";
}

#[async_trait]
impl TypedTask for FailsForGood {
    const NAME: &'static str = Self::TASK;
    const DESCRIPTION: &'static str = "Fails, for tests.";
    type Input = Input;
    type Output = Output;

    async fn run(&self, _ctx: &Context, _input: Input) -> Result<Output, Stop> {
        Err(Stop::fail_clean("test.fails", "It was to fail."))
    }
}
