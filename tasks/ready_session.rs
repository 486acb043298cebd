//! `ready_session`: hands a launched session to its learner.

use async_trait::async_trait;
use flow_domain::SessionId;
use flow_domain::flows::{Context, Stop, TypedTask};
use flow_domain::labs::SessionStatus;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::lab_session::open;

pub struct ReadySession;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The lab's name.
    lab: String,
    /// The session this is for; default: the caller's open one.
    session: Option<SessionId>,
    /// What the learner is to know of it, by name.
    outputs: Option<Value>,
}

#[derive(Serialize, JsonSchema)]
pub struct Output {
    /// The session's id.
    session: SessionId,
}

#[async_trait]
impl TypedTask for ReadySession {
    const NAME: &'static str = "ready_session";
    const DESCRIPTION: &'static str = "Marks the caller's session of a lab as ready, with what it offers.";
    type Input = Input;
    type Output = Output;

    async fn run(&self, ctx: &Context, input: Input) -> Result<Output, Stop> {
        let session = open(ctx, &input.lab, input.session).await?;
        ctx.ports.sessions.set_status(session.id, SessionStatus::Ready, input.outputs).await?;
        Ok(Output { session: session.id })
    }
}
