//! `verify_oauth_token`: whose access token it is.

use async_trait::async_trait;
use flow_domain::flows::{Context, Stop, TypedTask};
use flow_domain::openid::Subject;
use flow_domain::{Kind, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub struct VerifyOauthToken;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The access token, sealed by the service: runs are kept, and so are their inputs.
    sealed: String,
}

#[derive(Serialize, JsonSchema)]
pub struct Output {
    /// Who issued the token.
    issuer: String,
    /// Whose it is, in the issuer's words.
    subject: String,
    /// The same person's id here, made from the two.
    user: UserId,
}

#[async_trait]
impl TypedTask for VerifyOauthToken {
    const NAME: &'static str = "verify_oauth_token";
    const DESCRIPTION: &'static str =
        "Asks the sign-in provider whose an access token is, and whether it is for us.";
    type Input = Input;
    type Output = Output;

    async fn run(&self, ctx: &Context, input: Input) -> Result<Output, Stop> {
        let verified = ctx.ports.access_tokens.verify(&input.sealed).await;
        let subject = verified.map_err(|error| match error.kind {
            // Asking changes nothing.
            Kind::Unauthenticated | Kind::Conflict => Stop::fail_clean(error.code, error.public),
            _ => Stop::from(error),
        })?;
        let user = subject.user_id();
        let Subject { issuer, subject } = subject;
        Ok(Output { issuer, subject, user })
    }
}

#[cfg(test)]
mod tests {
    use flow_domain::flows::{Outcome, Task};
    use flow_domain::openid::{Profile, Shown};
    use flow_domain::testing::TestContext;
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn a_good_token_names_its_owner_and_any_other_is_refused() {
        let test = TestContext::new();
        let subject = Subject { issuer: "https://id.example.org".into(), subject: "ada".into() };
        let user = subject.user_id();
        test.tokens.put("good", Profile { subject, email: None, email_verified: false, name: None });
        for (token, good) in [("good", true), ("bad", false)] {
            let shown = Shown { access_token: token.into(), id_token: None };
            let sealed = test.ports.access_tokens.seal(shown).expect("it can be sealed");
            let outcome = Task::run(&VerifyOauthToken, &test.context(), json!({"sealed": sealed})).await;
            match outcome {
                Outcome::Done(output) if good => assert_eq!(output["user"], json!(user)),
                Outcome::FailClean(reason) if !good => assert_eq!(reason.code, "oauth.token_invalid"),
                other => panic!("{token}: {other:?}"),
            }
        }
        let outcome = Task::run(&VerifyOauthToken, &test.context(), json!({"sealed": "made up"})).await;
        assert!(matches!(outcome, Outcome::FailClean(_)), "{outcome:?}");
    }
}
