//! What a caller has at hand already: `If-None-Match`.

use rocket::request::{FromRequest, Outcome, Request};

/// RFC 9110, section 13.1.2: a list of validators, or `*`; compared weakly.
pub(super) struct AtHand(Vec<String>);

impl AtHand {
    /// Whether the caller has what this strong validator names.
    pub(super) fn has(&self, etag: &str) -> bool {
        let named = |one: &str| one == "*" || one.strip_prefix("W/").unwrap_or(one) == etag;
        self.0.iter().flat_map(|header| header.split(',')).any(|one| named(one.trim()))
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for AtHand {
    type Error = std::convert::Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        Outcome::Success(Self(request.headers().get("If-None-Match").map(str::to_owned).collect()))
    }
}
