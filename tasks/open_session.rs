//! `open_session`: begins the caller's session in a lab.

use async_trait::async_trait;
use flow_domain::SessionId;
use flow_domain::flows::{Context, Plan, Stop, TypedTask};
use flow_domain::labs::{Session, SessionStatus};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::lab_session::{any_live, lab};

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

    /// A session that is still launching is this run's own, opened with it or by an attempt that nobody heard of,
    /// unless another run is noted in it. Any other is refused, so that a failing launch never undoes a session
    /// that its learner works in.
    async fn run(&self, ctx: &Context, input: Input) -> Result<Output, Stop> {
        let lab = lab(ctx, &input.lab)?;
        if !lab.allows(ctx.caller.role) {
            return Err(Stop::fail_clean("lab.forbidden", "This lab is not for your role."));
        }
        let current = any_live(ctx, &lab.name).await?;
        let status = current.as_ref().map(|session| session.status);
        let ours = |session: &Session| session.run.is_none_or(|run| run == ctx.run);
        match status {
            None => {}
            Some(SessionStatus::Launching) if current.as_ref().is_some_and(ours) => {}
            Some(SessionStatus::Finishing | SessionStatus::Dirty) => {
                let detail = "Something of your last session of this lab is left; finish it first.";
                return Err(Stop::fail_clean("session.unfinished", detail));
            }
            Some(_) => {
                let detail = "You have an open session of this lab already.";
                return Err(Stop::fail_clean("session.open", detail));
            }
        }
        let sessions = &ctx.ports.sessions;
        let session = sessions.open(ctx.caller.id, &lab).await?;
        if sessions.set_run(session.id, None, ctx.run).await? != ctx.run {
            let detail = "Another launch of this lab is under way.";
            return Err(Stop::fail_clean("session.open", detail));
        }
        Ok(Output { session: session.id, lab_version: session.lab_version })
    }

    async fn plan(&self, ctx: &Context, input: Input) -> Plan {
        Plan::new(format!("Begins the caller's session in lab {:?}.", input.lab)).unless(lab(ctx, &input.lab))
    }

    async fn undo(&self, ctx: &Context, input: Input, output: Option<Value>) -> Result<(), Stop> {
        let opened = output.and_then(|output| SessionId::parse(output["session"].as_str()?));
        let Some(session) = any_live(ctx, &input.lab).await? else { return Ok(()) };
        // Without an output only a session that nobody has got hold of yet can be ours.
        let ours = match opened {
            Some(id) => session.id == id,
            None => {
                session.status == SessionStatus::Launching && session.run.is_none_or(|run| run == ctx.run)
            }
        };
        if ours && session.status != SessionStatus::Dirty {
            ctx.ports.sessions.set_status(session.id, SessionStatus::Failed, None).await?;
        }
        Ok(())
    }
}
