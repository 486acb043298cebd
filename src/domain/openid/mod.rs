//! People whom another service has signed in: an OpenID Connect provider, or whoever issued an OAuth access token.

mod access;
mod created;
mod door;

use std::net::IpAddr;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::users::{Account, Role, User};
use crate::{EventId, Result, UserId};

pub use access::AccessTokens;
pub use created::{Onboard, StoreUser, USER_CACHED_FOR, USER_CREATED, UserCreated, system};
pub use door::{OpenIdDoor, Redirect, Returned};

/// Of ids made from an issuer and a subject; drawn once, never changed.
const NAMESPACE: Uuid = Uuid::from_u128(0x6c1f_0b0e_7d0a_4a55_9a3e_51c4_8e2d_77b1);

/// Who somebody is to their provider: unique, and never given to another person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    pub issuer: String,
    pub subject: String,
}

impl Subject {
    /// The account's id, UUIDv5 of issuer and subject: the same whoever asks and whenever, and the name of the
    /// user's directories. An issuer is a URL and holds no space, so no two pairs are one text.
    pub fn user_id(&self) -> UserId {
        UserId(Uuid::new_v5(&NAMESPACE, format!("{} {}", self.issuer, self.subject).as_bytes()))
    }
}

/// What a provider says of somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    pub subject: Subject,
    pub email: Option<String>,
    /// Whether the provider has seen that the address is theirs.
    pub email_verified: bool,
    pub name: Option<String>,
}

/// Longer names are cut.
const MAX_NAME_CHARS: usize = 200;
const MAX_EMAIL_BYTES: usize = 254;

impl Profile {
    /// The learner this is here. An address that is not verified is not taken over: it may be anyone's.
    pub fn user(&self) -> User {
        let plain = |text: &String| !text.trim().is_empty() && !text.contains(char::is_control);
        let fits = |email: &String| plain(email) && email.len() <= MAX_EMAIL_BYTES;
        let name = self.name.clone().filter(plain);
        User {
            id: self.subject.user_id(),
            email: self.email.clone().filter(fits).filter(|_| self.email_verified),
            username: None,
            name: name.map(|name| name.chars().take(MAX_NAME_CHARS).collect()),
            role: Role::Learner,
        }
    }
}

/// What a provider gave us to act for somebody.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OAuthTokens {
    pub access_token: String,
    pub refresh_token: Option<String>,
    pub expires_in_s: Option<u64>,
}

/// What must come back with a browser that was sent to the provider.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    pub state: String,
    pub nonce: String,
    /// Of PKCE: whoever has the code alone can do nothing with it.
    pub verifier: String,
}

/// An OpenID Connect provider, by the authorization code flow with PKCE.
///
/// Errors: `Unavailable` with `oidc.unavailable` while it does not answer, `Conflict` with `oidc.not_configured`
/// where there is none.
#[async_trait]
pub trait OpenIdProvider: Send + Sync {
    /// Where to send a browser, and what to remember until it is back.
    async fn begin(&self) -> Result<(String, Attempt)>;
    /// Turns a code into who it was for. `Unauthenticated`: `oidc.code_refused` when the provider does not take the
    /// code, `oidc.id_token_invalid` when its id token does not hold.
    async fn finish(&self, attempt: &Attempt, code: &str) -> Result<(Profile, OAuthTokens)>;
    /// Whether an answer that names this issuer is from the provider that was asked (RFC 9207).
    fn is_issuer(&self, issuer: &str) -> bool;
    /// Whether there is one at all.
    fn is_there(&self) -> bool {
        true
    }
}

/// What a caller shows to prove who they are: an access token of the provider, and an id token beside it where the
/// provider cannot be asked about access tokens.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    pub access_token: String,
    pub id_token: Option<String>,
}

/// Asks the provider about access tokens. Errors as [`OpenIdProvider`]'s.
#[async_trait]
pub trait OAuthVerifier: Send + Sync {
    /// Whose token it is. `Unauthenticated` with `oauth.token_invalid` for one that is not good, or not for us.
    async fn verify(&self, shown: &Shown) -> Result<Subject>;
    /// What the provider says of them.
    async fn profile(&self, shown: &Shown, subject: &Subject) -> Result<Profile>;
}

/// An account, and whether it was made just now.
pub struct Admitted {
    pub account: Account,
    pub made: bool,
}

/// Where people's identities at providers are kept.
#[async_trait]
pub trait Identities: Send + Sync {
    /// The account of this person, made if there is none, with its event in the same transaction. An address that
    /// another account has is left to that account.
    async fn admit(&self, profile: &Profile) -> Result<Admitted>;
    /// The same for a consumer of the event that an account was created: once for each event, however often it comes.
    /// `true`: the account was made now.
    async fn store(&self, created: &UserCreated, consumer: &str, event: EventId) -> Result<bool>;
    /// Keeps what the provider gave, encrypted, in the place of what it gave before.
    async fn keep_tokens(&self, user: UserId, tokens: &OAuthTokens) -> Result<()>;
    /// What was kept. `Conflict` with `state_key.other` when it was encrypted with a key that is no longer here.
    async fn tokens(&self, user: UserId) -> Result<Option<OAuthTokens>>;
}

/// Where a request came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    pub address: Option<IpAddr>,
    /// The browser or program, by its own account.
    pub agent: Option<String>,
}

/// Longer ones are cut: nobody needs more to know a browser by.
const MAX_AGENT_CHARS: usize = 200;

impl Origin {
    /// As it may be kept: what a client says of itself is short and plain text.
    pub fn plain(&self) -> Self {
        let agent = self
            .agent
            .as_ref()
            .map(|agent| agent.chars().filter(|letter| !letter.is_control()).take(MAX_AGENT_CHARS).collect());
        Self { address: self.address, agent }
    }
}

/// The journal of sign-ins: when, how and from where. It is appended and never changed.
#[async_trait]
pub trait SignInJournal: Send + Sync {
    /// `door` names the way in: `email`, `name`, `temporary` or `openid`. The origin is kept as [`Origin::plain`].
    async fn record(&self, user: UserId, door: &str, origin: &Origin) -> Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(email: &str, email_verified: bool) -> Profile {
        let subject = Subject { issuer: "https://id.example.org".into(), subject: "ada".into() };
        Profile { subject, email: Some(email.into()), email_verified, name: Some("Ada".into()) }
    }

    #[test]
    fn the_id_is_of_issuer_and_subject_alone_and_never_changes() {
        let (one, other) = (profile("a@example.org", true), profile("b@example.org", false));
        assert_eq!(one.user().id, other.user().id);
        assert_eq!(one.user().id.to_string(), "e5396cf7-6290-5dca-91f0-ee37c6dffc5e");
        let elsewhere = Subject { issuer: "https://id.example.com".into(), ..one.subject.clone() };
        assert_ne!(elsewhere.user_id(), one.subject.user_id());
    }

    #[test]
    fn an_address_that_nobody_verified_is_not_taken_over() {
        assert_eq!(profile("a@example.org", false).user().email, None);
        assert_eq!(profile("a@example.org", true).user().email.as_deref(), Some("a@example.org"));
        assert_eq!(profile("a\n@example.org", true).user().email, None);
        assert_eq!(profile(&"a".repeat(300), true).user().email, None);
    }
}
