//! The refresh token as a cookie: for pages, whose scripts need not, and cannot, read it.

use std::convert::Infallible;

use flow_domain::users::Granted;
use jiff::Timestamp;
use rocket::Request;
use rocket::request::{FromRequest, Outcome};

use super::edge::Edge;

const NAME: &str = "flow_refresh";

/// The cookie's value, if the request has one and comes from a page of our own.
pub struct RefreshCookie(pub Option<String>);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for RefreshCookie {
    type Error = Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Infallible> {
        // SameSite=Strict keeps other sites out; this keeps out neighbours, which are the same site and another origin.
        let origin = request.headers().get_one("Sec-Fetch-Site");
        let own = matches!(origin, None | Some("same-origin" | "none"));
        let cookie = request.cookies().get(NAME).filter(|_| own);
        Outcome::Success(Self(cookie.map(|cookie| cookie.value().to_owned())))
    }
}

/// Whether the cookie is for https alone.
pub struct Secure(bool);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Secure {
    type Error = Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Infallible> {
        Outcome::Success(Self(Edge::is_https(request)))
    }
}

/// `Set-Cookie` for a login; the value has only letters that need no quoting.
pub fn setting(granted: &Granted, secure: Secure) -> String {
    let left = granted.ends_at.duration_since(Timestamp::now()).as_secs().max(0);
    header(&granted.refresh_token, left, secure)
}

/// `Set-Cookie` that takes it away.
pub fn clearing(secure: Secure) -> String {
    header("", 0, secure)
}

fn header(value: &str, max_age_s: i64, Secure(secure): Secure) -> String {
    let secure = if secure { "; Secure" } else { "" };
    format!("{NAME}={value}; Path=/auth; Max-Age={max_age_s}; HttpOnly; SameSite=Strict{secure}")
}
