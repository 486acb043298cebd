//! `remove_directory`: removes the caller's directory of a lab.

use async_trait::async_trait;
use flow_domain::flows::{Context, Stop, TypedTask};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::lab_session::{any_live, named};

pub struct RemoveDirectory;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The lab's name, which is the directory's name below the caller's own.
    lab: String,
}

#[derive(Serialize, JsonSchema)]
pub struct Output {
    /// Whether there was one.
    removed: bool,
}

#[async_trait]
impl TypedTask for RemoveDirectory {
    const NAME: &'static str = "remove_directory";
    const DESCRIPTION: &'static str = "Removes the caller's directory of a lab that has no open session.";
    const PINS_HOST: bool = true;
    type Input = Input;
    type Output = Output;

    async fn run(&self, ctx: &Context, input: Input) -> Result<Output, Stop> {
        // Without its directory a session could not be taken down.
        if let Some(session) = any_live(ctx, &input.lab).await? {
            if named(ctx).is_some_and(|ours| ours != session.id) {
                // Ours is over, and the directory is a later one's by now.
                return Ok(Output { removed: false });
            }
            let detail = "A session of this lab is open; close it first.";
            return Err(Stop::fail_clean("session.open", detail));
        }
        let workspaces = &ctx.ports.workspaces;
        let removed = workspaces.find(ctx.caller.id, &input.lab).await?.is_some();
        workspaces.remove(ctx.caller.id, &input.lab).await?;
        Ok(Output { removed })
    }
}
