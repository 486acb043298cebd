//! `auth_check`: lets a flow go on only for those who may, as their account stands now and not as it stood when
//! their token was signed.

use std::time::Duration;

use async_trait::async_trait;
use flow_domain::UserId;
use flow_domain::flows::{Context, Plan, Policy, Stop, TypedTask};
use flow_domain::users::Role;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub struct AuthCheck;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The least role that may go on; `learner` when not given.
    role: Option<Role>,
}

#[derive(Serialize, JsonSchema)]
pub struct Output {
    /// Who started the run.
    user_id: UserId,
    /// The role of the account now.
    role: Role,
}

#[async_trait]
impl TypedTask for AuthCheck {
    const NAME: &'static str = "auth_check";
    const DESCRIPTION: &'static str =
        "Checks that the caller's account is there, is enabled and has at least a role.";
    type Input = Input;
    type Output = Output;

    fn policy(&self) -> Policy {
        Policy { timeout: Duration::from_secs(10), attempts: 3, ..Policy::default() }
    }

    async fn run(&self, ctx: &Context, input: Input) -> Result<Output, Stop> {
        let needed = input.role.unwrap_or(Role::Learner);
        let user_id = ctx.caller.id;
        // Schedules and events have no account.
        if ctx.caller.role == Role::System {
            return Ok(Output { user_id, role: Role::System });
        }
        let Some(account) = ctx.ports.users.by_id(user_id).await? else {
            return Err(Stop::fail_clean("auth.account_unknown", "The caller has no account."));
        };
        if account.disabled {
            return Err(Stop::fail_clean("auth.account_disabled", "The caller's account is disabled."));
        }
        let role = account.user.role;
        if role < needed {
            let detail = format!("This needs the role {needed}; the caller has the role {role}.");
            return Err(Stop::fail_clean("auth.role_too_low", detail));
        }
        Ok(Output { user_id, role })
    }

    /// To check changes nothing.
    async fn plan(&self, ctx: &Context, input: Input) -> Plan {
        let needed = input.role.unwrap_or(Role::Learner);
        let summary = format!("Checks that the caller's account has the role {needed} or above.");
        Plan::new(summary).unless(self.run(ctx, input).await)
    }
}

#[cfg(test)]
mod tests {
    use flow_domain::flows::{Outcome, Task};
    use flow_domain::testing::TestContext;
    use serde_json::{Value, json};

    use flow_domain::users::Users;

    use super::*;

    async fn check(test: &TestContext, input: Value) -> Outcome {
        Task::run(&AuthCheck, &test.context(), input).await
    }

    fn refused_with(outcome: Outcome) -> String {
        match outcome {
            Outcome::FailClean(reason) => reason.code,
            other => panic!("not a clean refusal: {other:?}"),
        }
    }

    #[tokio::test]
    async fn a_learner_passes_where_learners_may_and_not_where_operators_must() {
        let test = TestContext::new();
        let passed = json!({"user_id": test.caller.id, "role": "learner"});
        assert_eq!(check(&test, json!({})).await, Outcome::Done(passed.clone()));
        assert_eq!(check(&test, json!({"role": null})).await, Outcome::Done(passed));
        assert_eq!(refused_with(check(&test, json!({"role": "operator"})).await), "auth.role_too_low");
    }

    #[tokio::test]
    async fn the_account_decides_not_the_token() {
        let mut test = TestContext::new();
        test.caller.role = Role::Admin;
        assert_eq!(refused_with(check(&test, json!({"role": "admin"})).await), "auth.role_too_low");
    }

    #[tokio::test]
    async fn a_disabled_and_an_unknown_account_are_refused() {
        let test = TestContext::new().with_role(Role::Admin);
        test.users.set_disabled(test.caller.id, true).await.unwrap();
        assert_eq!(refused_with(check(&test, json!({})).await), "auth.account_disabled");
        test.users.forget(test.caller.id);
        assert_eq!(refused_with(check(&test, json!({})).await), "auth.account_unknown");
    }

    #[tokio::test]
    async fn schedules_and_events_pass_without_an_account() {
        let mut test = TestContext::new();
        test.users.forget(test.caller.id);
        test.caller.role = Role::System;
        let passed = json!({"user_id": test.caller.id, "role": "system"});
        assert_eq!(check(&test, json!({"role": "admin"})).await, Outcome::Done(passed));
    }

    #[tokio::test]
    async fn an_unknown_role_is_refused() {
        let test = TestContext::new();
        assert_eq!(refused_with(check(&test, json!({"role": "king"})).await), "task.input_invalid");
    }
}
