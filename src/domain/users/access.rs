//! Whether a token is good, and whose it is.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{Revocations, Role, Tokens, User, Users, Verified};
use crate::{Error, Kind, Result, UserId};

/// A name or an address changed elsewhere is seen here after this time. A role and a closed account are seen sooner:
/// they end the tokens.
const FRESH: Duration = Duration::from_secs(60);
/// Some megabytes; then all are forgotten and asked for again.
const MAX_REMEMBERED: usize = 20_000;

/// The one place where a token is believed.
pub struct Access {
    tokens: Arc<dyn Tokens>,
    revocations: Arc<Revocations>,
    users: Arc<dyn Users>,
    remembered: RwLock<HashMap<UserId, Remembered>>,
}

struct Remembered {
    user: User,
    generation: i64,
    since: Instant,
}

impl Access {
    pub(super) fn new(tokens: Arc<dyn Tokens>, revocations: Arc<Revocations>, users: Arc<dyn Users>) -> Self {
        Self { tokens, revocations, users, remembered: RwLock::default() }
    }

    /// Signature, times, issuer, audience, and not revoked: all from memory.
    pub fn check(&self, token: &str) -> Result<Verified> {
        let verified = self.tokens.verify(token)?;
        match self.revocations.covers(&verified)? {
            true => Err(revoked()),
            false => Ok(verified),
        }
    }

    /// Waits until a good token is good no longer: for streams, which outlive the moment they began in.
    pub async fn ended(&self, token: &Verified) {
        let left = Duration::try_from(token.expires_at.duration_since(Timestamp::now())).unwrap_or_default();
        let _ = tokio::time::timeout(left, self.revocations.until_covered(token)).await;
    }

    /// The account behind a good token, from memory if it was asked for not long ago.
    pub async fn user(&self, token: &Verified) -> Result<User> {
        if let Some(user) = self.nobody(token).or_else(|| self.recall(token)) {
            return Ok(user);
        }
        let id = token.caller.id;
        let account = self.users.by_id(id).await?;
        let Some(account) = account.filter(|account| account.is_open(Timestamp::now())) else {
            return Err(gone());
        };
        // Its tokens are ended already, and this replica is about to hear of it.
        if account.generation > token.stamp.generation {
            return Err(revoked());
        }
        self.remember(account.user.clone(), account.generation);
        Ok(account.user)
    }

    /// Someone without a name is known by the token alone.
    fn nobody(&self, token: &Verified) -> Option<User> {
        let role = token.caller.role;
        (role == Role::Anonymous && token.username.is_none()).then_some(User {
            id: token.caller.id,
            email: None,
            username: None,
            name: None,
            role,
        })
    }

    fn recall(&self, token: &Verified) -> Option<User> {
        let remembered = self.remembered.read().unwrap_or_else(PoisonError::into_inner);
        let entry = remembered.get(&token.caller.id)?;
        let fits = entry.generation == token.stamp.generation && entry.since.elapsed() < FRESH;
        fits.then(|| entry.user.clone())
    }

    fn remember(&self, user: User, generation: i64) {
        let mut remembered = self.remembered.write().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= MAX_REMEMBERED {
            remembered.clear();
        }
        remembered.insert(user.id, Remembered { user, generation, since: Instant::now() });
    }
}

fn revoked() -> Error {
    let public = "This token was ended before its time; sign in again.";
    Error::new(Kind::Unauthenticated, "auth.token_revoked", public)
}

fn gone() -> Error {
    Error::new(Kind::Unauthenticated, "auth.account_gone", "This account is no longer in use.")
}
