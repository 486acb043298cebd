//! `terraform_apply`: makes what a lab needs.

use std::time::Duration;

use async_trait::async_trait;
use flow_domain::SessionId;
use flow_domain::flows::{Context, Effect, Plan, Policy, Stop, TypedTask};
use flow_domain::labs::{SessionStatus, shown};
use flow_domain::ports::TerraformEnd;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::lab_session::machines;
use crate::lab_session::variables::{Variables, with_variables};
use crate::lab_session::watching::Watching;
use crate::lab_session::{Reporting, directory, job, lab, open, secrets, take_down, terraform_policy};

pub struct TerraformApply;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The lab's name.
    lab: String,
    /// The session this is for; default: the caller's open one. An undo takes down this one and no later one.
    session: Option<SessionId>,
    /// More variables for Terraform, by name: in a flow's file they may be secrets.
    #[serde(default)]
    variables: Variables,
}

#[derive(Serialize, JsonSchema)]
pub struct Output {
    /// The session that everything was made for.
    session: SessionId,
    /// Terraform's outputs by name, without the sensitive ones and those that the lab does not show.
    outputs: Value,
}

#[async_trait]
impl TypedTask for TerraformApply {
    const NAME: &'static str = "terraform_apply";
    const DESCRIPTION: &'static str =
        "Makes what a lab's Terraform files describe, for the caller's session.";
    const UNDOABLE: bool = true;
    const PINS_HOST: bool = true;
    type Input = Input;
    type Output = Output;

    /// An apply brings the world to what the files say, so a second one finds nothing to do. That holds as long as
    /// there is one at a time and its state is at hand: the port finds an apply that outlived its service by its
    /// record and follows that one, restores a lost state from its copy before it starts another, and fails rather
    /// than apply when an apply was killed half-way.
    fn effect(&self) -> Effect {
        Effect::Idempotent
    }

    fn policy(&self) -> Policy {
        terraform_policy()
    }

    async fn run(&self, ctx: &Context, input: Input) -> Result<Output, Stop> {
        let lab = lab(ctx, &input.lab)?;
        let session = open(ctx, &lab.name, input.session).await?;
        let dir = directory(ctx, &session).await?;
        let job = job(&session, dir, Duration::from_secs(lab.limits.launch_timeout_s))?;
        let job = with_variables(job, input.variables)?;
        let (job, mut given) = secrets::give(ctx, job).await?;
        let (job, vmids) = machines::reserve(ctx, job, &mut given, lab.machines).await?;
        let watch = Reporting { ctx, given, machines: Watching::of(&job, vmids) };
        let applied = watch.during(ctx.ports.terraform.apply(&job, &watch, &ctx.cancel)).await;
        match applied.map_err(|end| watch.clean(end)) {
            Ok(outputs) => {
                let outputs = watch.given.scrub_value(outputs);
                // All of them are the grader's to know; the run's are anybody's who may see the run.
                let kept = Some(outputs.clone());
                ctx.ports.sessions.set_status(session.id, SessionStatus::Launching, kept).await?;
                Ok(Output { session: session.id, outputs: shown(outputs, session.shown.as_deref()) })
            }
            Err(TerraformEnd::Untouched(why)) => Err(Stop::fail_clean("terraform.refused", why)),
            Err(TerraformEnd::Failed(why)) => Err(Stop::fail("terraform.failed", why)),
            Err(TerraformEnd::Killed(why)) => {
                ctx.ports.sessions.set_status(session.id, SessionStatus::Dirty, None).await?;
                Err(Stop::fail("terraform.killed", why))
            }
            Err(TerraformEnd::Stopped { timed_out: true }) => {
                let detail = format!("The lab was not ready after {} s.", lab.limits.launch_timeout_s);
                Err(Stop::fail("terraform.timed_out", detail))
            }
            Err(TerraformEnd::Stopped { timed_out: false }) => {
                Err(Stop::fail("terraform.stopped", "Terraform was stopped before the lab was ready."))
            }
        }
    }

    async fn undo(&self, ctx: &Context, input: Input, _output: Option<Value>) -> Result<(), Stop> {
        take_down(ctx, &input.lab, input.session, input.variables).await?;
        Ok(())
    }

    async fn plan(&self, ctx: &Context, input: Input) -> Plan {
        Plan::new(format!("Makes what the Terraform files of lab {:?} describe.", input.lab))
            .unless(lab(ctx, &input.lab))
    }
}
