//! The header `Idempotency-Key`: a request sent twice is done once.

use flow_domain::flows::store::Idempotency;
use flow_domain::users::Caller;
use flow_domain::{Error, Kind, hex};
use rocket::request::{FromRequest, Outcome, Request};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::guards::{Refused, refuse};

const MAX_KEY_BYTES: usize = 255;

/// The key, if one was sent.
pub struct IdempotencyKey(pub Option<String>);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for IdempotencyKey {
    type Error = Refused;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Refused> {
        let mut keys = request.headers().get("Idempotency-Key");
        let (key, second) = (keys.next(), keys.next());
        match key {
            None => Outcome::Success(Self(None)),
            Some(key) if second.is_none() && is_sane(key) => Outcome::Success(Self(Some(key.to_owned()))),
            Some(_) => {
                let public = "An Idempotency-Key is sent once and has 1 to 255 visible ASCII characters.";
                Outcome::Error(refuse(
                    request,
                    Error::new(Kind::Malformed, "idempotency.key_invalid", public),
                ))
            }
        }
    }
}

impl IdempotencyKey {
    /// The key with what it belongs to; `body` is what was asked for.
    pub(super) fn of(self, caller: &Caller, scope: String, body: &Value) -> Option<Idempotency> {
        let body_sha256 = hex(Sha256::digest(body.to_string()));
        Some(Idempotency { caller: caller.id, scope, key: self.0?, body_sha256 })
    }
}

fn is_sane(key: &str) -> bool {
    (1..=MAX_KEY_BYTES).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
}
