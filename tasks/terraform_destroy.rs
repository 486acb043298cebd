//! `terraform_destroy`: takes down what a lab's Terraform made.

use async_trait::async_trait;
use flow_domain::SessionId;
use flow_domain::flows::{Context, Plan, Policy, Stop, TypedTask};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::lab_session::variables::Variables;
use crate::lab_session::{take_down, terraform_policy};

pub struct TerraformDestroy;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The lab's name.
    lab: String,
    /// The session this is for; default: the caller's open one.
    session: Option<SessionId>,
    /// More variables for Terraform, by name: in a flow's file they may be secrets.
    #[serde(default)]
    variables: Variables,
}

#[derive(Serialize, JsonSchema)]
pub struct Output {
    /// The session that everything was taken down of; null when there was none.
    session: Option<SessionId>,
}

#[async_trait]
impl TypedTask for TerraformDestroy {
    const NAME: &'static str = "terraform_destroy";
    const DESCRIPTION: &'static str = "Takes down what Terraform made for the caller's session of a lab.";
    const PINS_HOST: bool = true;
    type Input = Input;
    type Output = Output;

    /// What could not be removed now can often be removed a little later.
    fn policy(&self) -> Policy {
        Policy { attempts: 3, ..terraform_policy() }
    }

    async fn run(&self, ctx: &Context, input: Input) -> Result<Output, Stop> {
        Ok(Output { session: take_down(ctx, &input.lab, input.session, input.variables).await? })
    }

    async fn plan(&self, _ctx: &Context, input: Input) -> Plan {
        Plan::new(format!("Takes down what Terraform made for the caller in lab {:?}.", input.lab))
    }
}
