//! Logins that can be renewed: a short access token, and an opaque refresh token that is good for one use.
//!
//! All refresh tokens of one login are a family. Each use gives the next and makes the used one old; an old one that
//! comes again was copied, and since nobody can tell the thief from the owner, the family ends (RFC 9700, 4.14.2).

mod judge;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use log::warn;
use sha2::{Digest, Sha256};

use super::{Account, Revocation, Revocations, SignIn, Stamp, Tokens, User, Users, Verified};
use crate::{Error, FamilyId, Kind, Result, UserId};
pub use judge::{FamilyState, Verdict, judge};

/// Tells what it is to whoever finds one, a scanner for leaked secrets included.
const PREFIX: &str = "fmr_";

/// What is kept of a refresh token: SHA-256. The token has 256 random bits, so there is nothing to guess.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RefreshHash(pub [u8; 32]);

impl RefreshHash {
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }
}

impl fmt::Debug for RefreshHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshHash([redacted])")
    }
}

/// One login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    pub id: FamilyId,
    pub user: UserId,
    /// The account's when it began: a later one ends it.
    pub generation: i64,
    /// Its last token is of no use from here on.
    pub expires_at: Timestamp,
}

/// What became of a refresh token that was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// The next one is kept in its place.
    Rotated(Family),
    /// It had been used before; the family is ended now.
    Reused(Family),
    /// Unknown, or of a family that has ended.
    Refused,
}

/// Where logins are kept.
#[async_trait]
pub trait LoginStore: Send + Sync {
    /// A new login with its first token.
    async fn begin(&self, family: &Family, first: &RefreshHash) -> Result<()>;
    /// Uses a token, as [`judge`] says; two uses of one family at once are judged one after the other.
    async fn rotate(&self, used: &RefreshHash, next: &RefreshHash, at: Timestamp) -> Result<Rotation>;
    /// The login of a token, whether or not it is good still.
    async fn family_of(&self, token: &RefreshHash) -> Result<Option<Family>>;
    /// Ends a login; `false` when it had ended, or is not known.
    async fn end(&self, family: FamilyId) -> Result<bool>;
    /// Forgets logins that are over at this time; how many were forgotten.
    async fn forget(&self, at: Timestamp) -> Result<u64>;
}

/// The service behind `/auth/*`.
pub struct Logins {
    pub(super) sign_in: Arc<SignIn>,
    pub(super) users: Arc<dyn Users>,
    pub(super) tokens: Arc<dyn Tokens>,
    pub(super) store: Arc<dyn LoginStore>,
    pub(super) revocations: Arc<Revocations>,
    pub(super) access_ttl: Duration,
    pub(super) refresh_ttl: Duration,
}

/// What a login gives.
#[derive(Clone)]
pub struct Granted {
    pub user: User,
    pub access_token: String,
    pub expires_in_s: u64,
    pub refresh_token: String,
    /// When the login ends, however often it is renewed.
    pub ends_at: Timestamp,
}

impl Logins {
    pub async fn login(&self, email: &str, password: &str, from: Option<IpAddr>) -> Result<Granted> {
        let account = self.sign_in.account(email, password, from).await?;
        self.begin(&account).await
    }

    /// A login for an account whose owner is known by other means.
    pub async fn begin(&self, account: &Account) -> Result<Granted> {
        if !account.is_open(Timestamp::now()) {
            return Err(refused());
        }
        let expires_at = crate::clock::now().checked_add(self.refresh_ttl).map_err(Error::internal)?;
        let family =
            Family { id: FamilyId::new(), user: account.user.id, generation: account.generation, expires_at };
        let refresh_token = new_token();
        self.store.begin(&family, &RefreshHash::of(&refresh_token)).await?;
        self.grant(account.user.clone(), &family, refresh_token)
    }

    /// A new access token and a new refresh token for a used one.
    pub async fn refresh(&self, token: &str) -> Result<Granted> {
        if token.len() != PREFIX.len() + 43 {
            return Err(refused());
        }
        let next = new_token();
        let used = RefreshHash::of(token);
        match self.store.rotate(&used, &RefreshHash::of(&next), crate::clock::now()).await? {
            Rotation::Rotated(family) => {
                let account = self.users.by_id(family.user).await?.filter(|account| {
                    account.is_open(Timestamp::now()) && account.generation == family.generation
                });
                match account {
                    Some(account) => self.grant(account.user, &family, next),
                    None => {
                        self.end(&family).await?;
                        Err(refused())
                    }
                }
            }
            Rotation::Reused(family) => {
                warn!(
                    "security event=refresh_token_reused user={} login={}: a used refresh token came again; \
                     the login is ended",
                    family.user, family.id
                );
                self.revocations.revoke(Revocation::Family(family.id), self.access_ttl).await?;
                Err(refused())
            }
            Rotation::Refused => Err(refused()),
        }
    }

    /// Ends the logins of a refresh token and of an access token, and that access token itself. What is not known or
    /// over already is fine.
    pub async fn logout(&self, refresh: Option<&str>, access: Option<&Verified>) -> Result<()> {
        if let Some(token) = refresh
            && let Some(family) = self.store.family_of(&RefreshHash::of(token)).await?
        {
            self.end(&family).await?;
        }
        let Some(access) = access else { return Ok(()) };
        let left = access.expires_at.duration_since(Timestamp::now());
        let left = Duration::try_from(left).unwrap_or_default();
        self.revocations.revoke(Revocation::Token(access.jti.clone()), left).await?;
        match access.stamp.family {
            Some(family) => {
                self.revocations.revoke(Revocation::Family(family), self.access_ttl).await?;
                self.store.end(family).await.map(drop)
            }
            None => Ok(()),
        }
    }

    /// Forgets logins that are over; how many were forgotten.
    pub async fn forget(&self) -> Result<u64> {
        self.store.forget(Timestamp::now()).await
    }

    /// The access tokens first: if the second write fails, the next use of the refresh token ends it.
    async fn end(&self, family: &Family) -> Result<()> {
        self.revocations.revoke(Revocation::Family(family.id), self.access_ttl).await?;
        self.store.end(family.id).await.map(drop)
    }

    fn grant(&self, user: User, family: &Family, refresh_token: String) -> Result<Granted> {
        let stamp = Stamp { generation: family.generation, family: Some(family.id) };
        let access_token = self.tokens.issue(&user, stamp, self.access_ttl)?.token;
        let expires_in_s = self.access_ttl.as_secs();
        Ok(Granted { user, access_token, expires_in_s, refresh_token, ends_at: family.expires_at })
    }
}

fn new_token() -> String {
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()))
}

fn refused() -> Error {
    let public = "This refresh token is not good any more; sign in again.";
    Error::new(Kind::Unauthenticated, "auth.refresh_invalid", public)
}
