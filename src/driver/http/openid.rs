//! Signing in with an OpenID Connect provider, in a browser.

use flow_domain::openid::Returned;
use rocket::http::{Cookie, CookieJar, Method, SameSite};
use rocket::request::{FromRequest, Outcome, Request};
use rocket::time::Duration;
use rocket::{State, get, routes};
use serde_json::json;

use super::cookie::{Secure, setting};
use super::visitor::Visitor;
use super::{Answer, Handled, Operation, Resource, Services};

/// Holds the sign-in that is under way, sealed.
const COOKIE: &str = "flow_openid";
const PATH: &str = "/auth/google";

pub(super) fn resource() -> Resource {
    let text = || json!({"type": "string"});
    Resource {
        routes: routes![begin, finish],
        operations: vec![
            Operation::new(
                Method::Get,
                "/auth/google",
                "Sign in with the OpenID Connect provider, in a browser",
            )
            .answers_with(303, "", "To the provider; for who takes text/html also a refusal, to the page")
            .header("Location", "Where to sign in")
            .header("Set-Cookie", "The sign-in under way: HttpOnly, SameSite=Lax, ten minutes")
            .problem(409, &["oidc.not_configured", "state_key.missing"])
            .problem(503, &["oidc.unavailable"]),
            Operation::new(
                Method::Get,
                "/auth/google/callback",
                "Where the provider sends the browser back to",
            )
            .query("code", "What the provider answers", text())
            .query("state", "As it was sent there", text())
            .query("iss", "Who answers", text())
            .query("error", "Why the provider refused", text())
            .answers_with(
                303,
                "",
                "Signed in; the account is made at the first time. A refusal too, for who takes text/html",
            )
            .header("Location", "`/`; of a refusal `/#/sign-in?refused=CODE`")
            .header("Set-Cookie", "The refresh token: HttpOnly, SameSite=Strict")
            .problem(
                400,
                &["oidc.attempt_missing", "oidc.state_mismatch", "oidc.issuer_mismatch", "oidc.code_missing"],
            )
            .problem(401, &["oidc.denied", "oidc.code_refused", "oidc.id_token_invalid", "auth.account_gone"])
            .problem(409, &["oidc.not_configured"])
            .problem(503, &["oidc.unavailable"]),
        ],
    }
}

#[get("/auth/google")]
async fn begin(services: &State<Services>, cookies: &CookieJar<'_>, browser: InBrowser) -> Handled {
    browser.told(to_provider(services, cookies).await)
}

async fn to_provider(services: &Services, cookies: &CookieJar<'_>) -> Handled {
    let redirect = services.openid.begin().await?;
    let max_age = Duration::seconds(i64::try_from(redirect.expires_in_s).unwrap_or(0));
    let mut attempt = cookie(services, redirect.attempt);
    attempt.set_max_age(max_age);
    cookies.add(attempt);
    Ok(Answer::see_other(redirect.url))
}

/// What else a provider adds to its answer is ignored, as RFC 6749 section 4.1.2 wants it.
#[get("/auth/google/callback?<code>&<state>&<error>&<iss>")]
#[expect(clippy::too_many_arguments, reason = "each is a part of the request")]
async fn finish(
    services: &State<Services>,
    cookies: &CookieJar<'_>,
    code: Option<&str>,
    state: Option<&str>,
    error: Option<&str>,
    iss: Option<&str>,
    from: Visitor,
    secure: Secure,
    browser: InBrowser,
) -> Handled {
    let returned = Returned { code, state, error, issuer: iss };
    browser.told(signed_in(services, cookies, returned, from, secure).await)
}

async fn signed_in(
    services: &Services,
    cookies: &CookieJar<'_>,
    returned: Returned<'_>,
    from: Visitor,
    secure: Secure,
) -> Handled {
    let attempt = cookies.get(COOKIE).map(|cookie| cookie.value().to_owned());
    // It is good for one return, whatever comes of that.
    cookies.remove(cookie(services, String::new()));
    let account = services.openid.finish(attempt.as_deref(), returned, &from.0).await?;
    let granted = services.identity.logins.begin(&account).await?;
    Ok(Answer::see_other("/").header("Set-Cookie", setting(&granted, secure)))
}

/// Whether somebody looks at the answer, rather than a program.
struct InBrowser(bool);

impl InBrowser {
    /// People are told on the page, where they can go on.
    fn told(self, outcome: Handled) -> Handled {
        outcome.map_err(|problem| {
            let place = format!("/#/sign-in?refused={}", problem.error.code);
            if self.0 { problem.told_at(place) } else { problem }
        })
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for InBrowser {
    type Error = std::convert::Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        Outcome::Success(Self(request.headers().get("Accept").any(|takes| takes.contains("text/html"))))
    }
}

/// Lax: it must come along when the provider sends the browser back.
fn cookie(services: &Services, value: String) -> Cookie<'static> {
    Cookie::build((COOKIE, value))
        .path(PATH)
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(services.https)
        .build()
}
