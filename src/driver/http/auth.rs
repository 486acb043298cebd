//! Logins that are renewed: `/auth/*`, and what gateways ask.

use flow_domain::Error;
use flow_domain::users::{Granted, Role, User};
use rocket::http::{Method, Status};
use rocket::{State, get, post, routes};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::body::{JsonBody, MaybeJsonBody};
use super::cookie::{RefreshCookie, Secure, clearing, setting};
use super::edge::ClientAddress;
use super::guards::{MaybeCaller, SentToken};
use super::visitor::Visitor;
use super::{Answer, Handled, Operation, Resource, Services};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Credentials {
    email: String,
    /// At most 71 bytes.
    #[schemars(extend("format" = "password", "writeOnly" = true, "x-rules" = {"maxLength": 71}))]
    password: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Registration {
    #[schemars(extend("x-rules" = {"format": "email", "maxLength": 254}))]
    email: String,
    /// 8 characters to 71 bytes, and none that everybody tries first.
    #[schemars(extend("format" = "password", "writeOnly" = true, "x-rules" = {"minLength": 8, "maxLength": 71}))]
    password: String,
    /// What to call the user: 1 to 200 characters, none of them a control character.
    #[schemars(extend("x-rules" = {"minLength": 1, "maxLength": 200, "pattern": r"^[^\u0000-\u001f\u007f-\u009f]*$"}))]
    name: Option<String>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Refresh {
    refresh_token: Option<String>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Verify {
    token: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct LoginTokens {
    /// Sent back as `Authorization: Bearer TOKEN`.
    access_token: String,
    /// Good for one use. Left out when it came by the cookie: then it stays out of scripts' reach.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    /// Always `Bearer`.
    token_type: &'static str,
    /// Of the access token, in seconds.
    expires_in: u64,
    user: User,
}

#[derive(Serialize, JsonSchema)]
struct Valid {
    /// Always true.
    valid: bool,
    user: User,
}

pub(super) fn resource() -> Resource {
    let cookie = "The refresh token, HttpOnly, SameSite=Strict, Path=/auth";
    let verify = |method| {
        Operation::new(method, "/auth/verify", "Whether a token is good, for gateways")
            .answers::<Valid>(200, "It is")
            .header("X-User-Id", "Whose it is")
            .header("X-User-Role", "Their role")
            .role(Role::Anonymous)
            .problem(401, &["auth.account_gone"])
    };
    Resource {
        routes: routes![login, refresh, logout, register, verify, verify_posted, keys],
        operations: vec![
            Operation::new(Method::Post, "/auth/login", "Sign in for a login that can be renewed")
                .body::<Credentials>()
                .answers::<LoginTokens>(200, "Signed in")
                .header("Set-Cookie", cookie)
                .problem(401, &["auth.refused"])
                .problem(429, &["auth.too_many_attempts"])
                .problem(503, &["auth.busy"]),
            Operation::new(Method::Post, "/auth/refresh", "A new access token and a new refresh token")
                .maybe_body::<Refresh>()
                .answers::<LoginTokens>(200, "Renewed")
                .header("Set-Cookie", cookie)
                .problem(401, &["auth.refresh_missing", "auth.refresh_invalid"]),
            Operation::new(Method::Post, "/auth/logout", "End the login")
                .maybe_body::<Refresh>()
                .answers_with(204, "", "Ended, or it was over")
                .header("Set-Cookie", "Takes the cookie away"),
            Operation::new(Method::Post, "/auth/register", "Make an account")
                .body::<Registration>()
                .answers::<User>(201, "Made; sign in with it")
                .problem(403, &["auth.signup_closed"])
                .problem(409, &["user.email_taken"])
                .problem(429, &["auth.too_many_attempts"])
                .problem(503, &["auth.busy"]),
            verify(Method::Get),
            verify(Method::Post).maybe_body::<Verify>(),
            Operation::new(
                Method::Get,
                "/.well-known/jwks.json",
                "The public keys, for whoever checks tokens",
            )
            .answers::<Value>(200, "A JSON Web Key Set, empty when tokens are signed with a secret"),
        ],
    }
}

#[post("/auth/login", data = "<body>")]
async fn login(
    services: &State<Services>,
    from: Visitor,
    secure: Secure,
    body: JsonBody<Credentials>,
) -> Handled {
    let Credentials { email, password } = body.0;
    let login = services.identity.logins.login(&email, &password, from.0.address).await?;
    services.openid.journal.record(login.user.id, "email", &from.0).await?;
    granted(login, secure, true)
}

#[post("/auth/refresh", data = "<body>")]
async fn refresh(
    services: &State<Services>,
    cookie: RefreshCookie,
    secure: Secure,
    body: MaybeJsonBody<Refresh>,
) -> Handled {
    let sent = body.0.and_then(|body| body.refresh_token);
    let in_body = sent.is_some();
    let missing = || {
        let public = "This needs a refresh token, in the body or as a cookie.";
        Error::new(flow_domain::Kind::Unauthenticated, "auth.refresh_missing", public)
    };
    let token = sent.or(cookie.0).ok_or_else(missing)?;
    granted(services.identity.logins.refresh(&token).await?, secure, in_body)
}

#[post("/auth/logout", data = "<body>")]
async fn logout(
    services: &State<Services>,
    cookie: RefreshCookie,
    caller: MaybeCaller,
    secure: Secure,
    body: MaybeJsonBody<Refresh>,
) -> Handled {
    let token = body.0.and_then(|body| body.refresh_token).or(cookie.0);
    services.identity.logins.logout(token.as_deref(), caller.0.as_ref()).await?;
    Ok(Answer::no_content().header("Set-Cookie", clearing(secure)))
}

#[post("/auth/register", data = "<body>")]
async fn register(services: &State<Services>, from: ClientAddress, body: JsonBody<Registration>) -> Handled {
    let Registration { email, password, name } = body.0;
    let user = services.identity.accounts.register(&email, &password, name.as_deref(), from.0).await?;
    Answer::created(&user)
}

#[get("/auth/verify")]
async fn verify(services: &State<Services>, token: SentToken<'_>) -> Handled {
    verified(services, token.required()?).await
}

/// The body's token, if there is one: a gateway that posts need not set a header. Two different ones are refused.
#[post("/auth/verify", data = "<body>")]
async fn verify_posted(
    services: &State<Services>,
    token: SentToken<'_>,
    body: MaybeJsonBody<Verify>,
) -> Handled {
    match body.0.and_then(|body| body.token) {
        Some(posted) => verified(services, token.same_as(&posted)?).await,
        None => verified(services, token.required()?).await,
    }
}

#[get("/.well-known/jwks.json")]
fn keys(services: &State<Services>) -> Handled {
    let keys = services.identity.tokens.public_keys()?;
    Ok(Answer::json(Status::Ok, &keys)?.header("Cache-Control", "public, max-age=300"))
}

async fn verified(services: &Services, token: &str) -> Handled {
    let access = &services.identity.access;
    let token = access.check(token)?;
    let user = access.user(&token).await?;
    let (id, role) = (user.id.to_string(), user.role.as_str());
    Ok(Answer::ok(&Valid { valid: true, user })?.header("X-User-Id", id).header("X-User-Role", role))
}

fn granted(granted: Granted, secure: Secure, in_body: bool) -> Handled {
    let cookie = setting(&granted, secure);
    let answer = Answer::ok(&LoginTokens {
        access_token: granted.access_token,
        refresh_token: in_body.then_some(granted.refresh_token),
        token_type: "Bearer",
        expires_in: granted.expires_in_s,
        user: granted.user,
    })?;
    Ok(answer.header("Set-Cookie", cookie))
}
