//! Users by the OAuth access token they bring.

use std::time::Duration;

use flow_domain::flows::run::{Run, RunStatus};
use flow_domain::openid::{Shown, system};
use flow_domain::users::User;
use flow_domain::{Error, Kind};
use rocket::http::Method;
use rocket::request::{FromRequest, Outcome, Request};
use rocket::{State, post, routes};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::body::MaybeJsonBody;
use super::edge::ClientAddress;
use super::guards::{Refused, bearer, refuse};
use super::{Answer, Handled, Operation, Resource, Services};

/// The flow asks the provider twice and the database once.
const WAIT: Duration = Duration::from_secs(30);
/// Longer than any id token of a provider.
const MAX_ID_TOKEN_BYTES: usize = 8192;

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CreateUser {
    /// The id token that came with the access token, where the provider cannot be asked for whom that is.
    #[serde(default)]
    #[schemars(extend("writeOnly" = true))]
    id_token: Option<String>,
}

pub(super) fn resource() -> Resource {
    Resource {
        routes: routes![create],
        operations: vec![
            Operation::new(Method::Post, "/users", "The user behind an OAuth access token, created if new")
                .takes_header("Authorization", "`Bearer` and an access token of the sign-in provider")
                .takes_header("X-Id-Token", "The id token that came with it; as `id_token` in the body")
                .maybe_body::<CreateUser>()
                .answers::<User>(200, "There is such a user")
                .answers::<User>(201, "The user is being stored; the same call answers the same user")
                .problem(
                    401,
                    &[
                        "oauth.token_missing",
                        "auth.token_invalid",
                        "oauth.token_invalid",
                        "oauth.id_token_missing",
                    ],
                )
                .problem(409, &["oidc.not_configured", "state_key.missing"])
                .problem(429, &["auth.too_many_attempts"])
                .problem(503, &["oidc.unavailable", "user.not_created"]),
        ],
    }
}

#[post("/users", data = "<body>")]
async fn create(
    services: &State<Services>,
    tokens: Tokens,
    from: ClientAddress,
    body: MaybeJsonBody<CreateUser>,
) -> Handled {
    services.identity.attempts.may_show(from.0)?;
    let id_token = body.0.unwrap_or_default().id_token.or(tokens.id_token);
    if id_token.as_ref().is_some_and(|token| token.len() > MAX_ID_TOKEN_BYTES) {
        return Err(invalid("The id token is too long to be one.").into());
    }
    let shown = Shown { access_token: tokens.access_token, id_token };
    let sealed = services.access_tokens.seal(shown)?;
    let flows = &services.flows;
    let started = flows.start(&system(), json!("user-create"), json!({"sealed": sealed}), None).await?;
    let run = flows.wait(started, WAIT).await?;
    if run.head.status != RunStatus::Succeeded {
        return Err(refusal(&run).into());
    }
    match (output(&run, "find_user"), output(&run, "oauth_profile")) {
        (Some(user), _) => Answer::ok(&user),
        (None, Some(user)) => Answer::created(&user),
        (None, None) => Err(Error::internal(format!("run {} ended without a user", run.id)).into()),
    }
}

/// The user that a step put out, if it did.
fn output(run: &Run, step: &str) -> Option<User> {
    let step = run.steps.iter().rev().find(|known| known.name == step)?;
    serde_json::from_value(step.output.as_deref()?["user"].clone()).ok()
}

fn refusal(run: &Run) -> Error {
    let Some(error) = &run.head.error else {
        let public = "This takes longer than it should; try again shortly.";
        return Error::unavailable("user.not_created", public).because(format!("run {}", run.id));
    };
    let kind = |kind, code| Error::new(kind, code, error.detail.clone());
    match &*error.code {
        "oauth.token_invalid" => kind(Kind::Unauthenticated, "oauth.token_invalid"),
        "oauth.id_token_missing" => kind(Kind::Unauthenticated, "oauth.id_token_missing"),
        "oidc.not_configured" => kind(Kind::Conflict, "oidc.not_configured"),
        "oidc.unavailable" => Error::unavailable("oidc.unavailable", error.detail.clone()),
        code => {
            let public = "The user could not be created now; try again shortly.";
            Error::unavailable("user.not_created", public).because(format!("run {} {code}", run.id))
        }
    }
}

fn invalid(public: &str) -> Error {
    Error::new(Kind::Unauthenticated, "oauth.token_invalid", public)
}

/// What the caller shows.
struct Tokens {
    access_token: String,
    id_token: Option<String>,
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Tokens {
    type Error = Refused;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Refused> {
        let id_token = request.headers().get_one("X-Id-Token").map(str::to_owned);
        match bearer(request) {
            Ok(token) => Outcome::Success(Self { access_token: token.to_owned(), id_token }),
            // The token that is missing is not one of ours.
            Err(error) if error.code == "auth.token_missing" => {
                let public =
                    "This needs an access token of the sign-in provider: `Authorization: Bearer TOKEN`.";
                Outcome::Error(refuse(
                    request,
                    Error::new(Kind::Unauthenticated, "oauth.token_missing", public),
                ))
            }
            Err(error) => Outcome::Error(refuse(request, error)),
        }
    }
}
