//! Tokens before their key is known: the service listens while its database, which may hold the key, is away.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use flow_domain::users::{Issued, Stamp, Tokens, User, Verified};
use flow_domain::{Error, Result};

use crate::driven::credentials::JwtTokens;

#[derive(Default)]
pub(super) struct LateTokens(RwLock<Option<Arc<JwtTokens>>>);

impl LateTokens {
    /// Again whenever the keys change.
    pub(super) fn arrive(&self, tokens: JwtTokens) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(tokens));
    }

    fn get(&self) -> Result<Arc<JwtTokens>> {
        let starting =
            || Error::unavailable("service.starting", "The service is starting; try again shortly.");
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone().ok_or_else(starting)
    }
}

impl Tokens for LateTokens {
    fn issue(&self, user: &User, stamp: Stamp, ttl: Duration) -> Result<Issued> {
        self.get()?.issue(user, stamp, ttl)
    }

    fn verify(&self, token: &str) -> Result<Verified> {
        self.get()?.verify(token)
    }

    fn public_keys(&self) -> Result<serde_json::Value> {
        self.get()?.public_keys()
    }
}
