//! `close_session`: ends the caller's session in a lab.

use async_trait::async_trait;
use flow_domain::SessionId;
use flow_domain::flows::{Context, Stop, TypedTask};
use flow_domain::labs::SessionStatus;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::lab_session::live;

pub struct CloseSession;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The lab's name.
    lab: String,
    /// The session this is for; default: the caller's open one.
    session: Option<SessionId>,
}

#[derive(Serialize, JsonSchema)]
pub struct Output {
    /// The session that was ended; null when none was open.
    session: Option<SessionId>,
}

#[async_trait]
impl TypedTask for CloseSession {
    const NAME: &'static str = "close_session";
    const DESCRIPTION: &'static str = "Ends the caller's session of a lab once everything is taken down.";
    type Input = Input;
    type Output = Output;

    async fn run(&self, ctx: &Context, input: Input) -> Result<Output, Stop> {
        let Some(session) = live(ctx, &input.lab, input.session).await? else {
            return Ok(Output { session: None });
        };
        if session.status != SessionStatus::Finishing {
            let detail = "What this session made is not taken down yet.";
            return Err(Stop::fail_clean("session.not_taken_down", detail));
        }
        let end = match session.time.ending {
            Some(_) => SessionStatus::Expired,
            None => SessionStatus::Finished,
        };
        ctx.ports.sessions.set_status(session.id, end, None).await?;
        Ok(Output { session: Some(session.id) })
    }
}
