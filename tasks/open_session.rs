//! `open_session`: begins the caller's session in a lab.

use async_trait::async_trait;
use flow_domain::SessionId;
use flow_domain::flows::{Context, Stop, TypedTask};
use flow_domain::labs::SessionStatus;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::lab_session::{lab, live};

pub struct OpenSession;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The lab's name.
    lab: String,
}

#[derive(Serialize, JsonSchema)]
pub struct Output {
    /// The session's id.
    session: SessionId,
    /// SHA-256 of the lab's folder, hexadecimal.
    lab_version: String,
}

#[async_trait]
impl TypedTask for OpenSession {
    const NAME: &'static str = "open_session";
    const DESCRIPTION: &'static str = "Begins the caller's session in a lab; one is open at a time.";
    const UNDOABLE: bool = true;
    type Input = Input;
    type Output = Output;

    /// A session that is still launching is this run's own, made by an attempt that nobody heard of: runs of one
    /// caller and lab never overlap. Any other is refused, so that a failing launch never undoes a session that
    /// its learner works in.
    async fn run(&self, ctx: &Context, input: Input) -> Result<Output, Stop> {
        let lab = lab(ctx, &input.lab)?;
        match live(ctx, &lab.name, None).await?.map(|session| session.status) {
            None | Some(SessionStatus::Launching) => {}
            Some(SessionStatus::Finishing | SessionStatus::Dirty) => {
                let detail = "Something of your last session of this lab is left; finish it first.";
                return Err(Stop::fail_clean("session.unfinished", detail));
            }
            Some(_) => {
                let detail = "You have an open session of this lab already.";
                return Err(Stop::fail_clean("session.open", detail));
            }
        }
        let session = ctx.ports.sessions.open(ctx.caller.id, &lab).await?;
        Ok(Output { session: session.id, lab_version: session.lab_version })
    }

    async fn undo(&self, ctx: &Context, input: Input, output: Option<Value>) -> Result<(), Stop> {
        let opened = output.and_then(|output| SessionId::parse(output["session"].as_str()?));
        let Some(session) = live(ctx, &input.lab, opened).await? else { return Ok(()) };
        // Without an output only a session that nobody has got hold of yet can be ours.
        let ours = opened.is_some() || session.status == SessionStatus::Launching;
        if ours && session.status != SessionStatus::Dirty {
            ctx.ports.sessions.set_status(session.id, SessionStatus::Failed, None).await?;
        }
        Ok(())
    }
}
