//! `oauth_profile`: who somebody is to their provider.

use async_trait::async_trait;
use flow_domain::flows::{Context, OrStop, Stop, TypedTask};
use flow_domain::openid::{Subject, UserCreated};
use flow_domain::queue::Event;
use flow_domain::users::User;
use flow_domain::{EventId, Kind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub struct OauthProfile;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The access token, as `verify_oauth_token` takes it.
    sealed: String,
    /// Who issued the token.
    issuer: String,
    /// Whose it is, in the issuer's words.
    subject: String,
    /// Nothing is asked when this is true.
    #[serde(default)]
    unless: bool,
}

#[derive(Default, Serialize, JsonSchema)]
pub struct Output {
    /// The user this person is here, or none when nothing was asked.
    #[schemars(with = "Value")]
    user: Option<User>,
    /// The id of the event that this user was created.
    event_id: Option<EventId>,
    /// What that event says.
    event: Option<Value>,
}

#[async_trait]
impl TypedTask for OauthProfile {
    const NAME: &'static str = "oauth_profile";
    const DESCRIPTION: &'static str = "Asks the sign-in provider for the profile behind an access token.";
    type Input = Input;
    type Output = Output;

    async fn run(&self, ctx: &Context, input: Input) -> Result<Output, Stop> {
        if input.unless {
            return Ok(Output::default());
        }
        let subject = Subject { issuer: input.issuer, subject: input.subject };
        let profile = ctx.ports.access_tokens.profile(&input.sealed, &subject).await;
        let profile = profile.map_err(|error| match error.kind {
            Kind::Unauthenticated | Kind::Conflict => Stop::fail_clean(error.code, error.public),
            _ => Stop::from(error),
        })?;
        let user = profile.user();
        let created = UserCreated { user: user.clone(), identity: Some(subject) };
        let Event { id, data, .. } = created.event().fatal_clean("event.unreadable")?;
        Ok(Output { user: Some(user), event_id: Some(id), event: Some(data) })
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
    async fn the_profile_becomes_a_user_unless_nobody_wants_it() {
        let test = TestContext::new();
        let subject = Subject { issuer: "https://id.example.org".into(), subject: "ada".into() };
        let profile = Profile {
            subject: subject.clone(),
            email: Some("ada@example.org".into()),
            email_verified: true,
            name: Some("Ada".into()),
        };
        test.tokens.put("good", profile);
        let shown = Shown { access_token: "good".into(), id_token: None };
        let sealed = test.ports.access_tokens.seal(shown).expect("it can be sealed");
        for unless in [false, true] {
            let input =
                json!({"sealed": sealed, "issuer": subject.issuer, "subject": "ada", "unless": unless});
            let Outcome::Done(output) = Task::run(&OauthProfile, &test.context(), input).await else {
                panic!("no profile");
            };
            if unless {
                assert_eq!(output, json!({"user": null, "event_id": null, "event": null}));
            } else {
                assert_eq!(output["user"]["id"], json!(subject.user_id()));
                assert_eq!(output["event"]["user"]["email"], "ada@example.org");
                assert_eq!(output["event"]["identity"]["subject"], "ada");
            }
        }
    }
}
