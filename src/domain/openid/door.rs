//! Signing in with an OpenID Connect provider: out to it, and back.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Attempt, Identities, OpenIdProvider, Origin, SignInJournal};
use crate::clock;
use crate::sealed::{Sealed, Sealer};
use crate::users::Account;
use crate::{Error, Kind, Result};

/// How long somebody may take to sign in at their provider.
const ATTEMPT_FOR: Duration = Duration::from_secs(600);
/// What the sealed attempt is for: nothing sealed for another purpose passes as one.
const PURPOSE: &str = "openid attempt";
/// In the journal of sign-ins.
const DOOR: &str = "openid";

/// The service behind `/auth/google`.
pub struct OpenIdDoor {
    pub provider: Arc<dyn OpenIdProvider>,
    pub identities: Arc<dyn Identities>,
    pub journal: Arc<dyn SignInJournal>,
    pub sealer: Arc<dyn Sealer>,
}

/// Where to send a browser, and what it must bring back.
pub struct Redirect {
    pub url: String,
    /// For a cookie: unreadable and unforgeable.
    pub attempt: String,
    pub expires_in_s: u64,
}

/// What the provider sent the browser back with.
#[derive(Default)]
pub struct Returned<'a> {
    pub code: Option<&'a str>,
    pub state: Option<&'a str>,
    /// Why it refused, as a code of RFC 6749.
    pub error: Option<&'a str>,
    pub issuer: Option<&'a str>,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    attempt: Attempt,
    until: Timestamp,
}

impl OpenIdDoor {
    pub async fn begin(&self) -> Result<Redirect> {
        let (url, attempt) = self.provider.begin().await?;
        let until = clock::now().checked_add(ATTEMPT_FOR).map_err(Error::internal)?;
        let kept = serde_json::to_vec(&Kept { attempt, until }).map_err(Error::internal)?;
        let attempt = self.sealer.seal(PURPOSE, &kept)?.to_text();
        Ok(Redirect { url, attempt, expires_in_s: ATTEMPT_FOR.as_secs() })
    }

    /// The account of whoever came back; made if this is their first time. `attempt` is the cookie.
    pub async fn finish(
        &self,
        attempt: Option<&str>,
        returned: Returned<'_>,
        origin: &Origin,
    ) -> Result<Account> {
        let attempt = self.kept(attempt)?;
        // Before anything else that was brought: who cannot name the state did not come from the provider.
        if returned.state != Some(&attempt.state) {
            return Err(malformed(
                "oidc.state_mismatch",
                "This answer belongs to another sign-in; start again at /auth/google.",
            ));
        }
        if returned.issuer.is_some_and(|issuer| !self.provider.is_issuer(issuer)) {
            return Err(malformed("oidc.issuer_mismatch", "This answer is from another provider."));
        }
        if let Some(error) = returned.error {
            let cause = format!("the provider answered {:?}", error.chars().take(80).collect::<String>());
            let public = "The provider did not sign you in; start again at /auth/google.";
            return Err(Error::new(Kind::Unauthenticated, "oidc.denied", public).because(cause));
        }
        let code = returned.code.filter(|code| !code.is_empty());
        let code =
            code.ok_or_else(|| malformed("oidc.code_missing", "The provider's answer holds no code."))?;
        let (profile, tokens) = self.provider.finish(&attempt, code).await?;
        let admitted = self.identities.admit(&profile).await?;
        let user = admitted.account.user.id;
        if admitted.account.disabled {
            let public = "This account is no longer in use.";
            return Err(Error::new(Kind::Unauthenticated, "auth.account_gone", public));
        }
        self.identities.keep_tokens(user, &tokens).await?;
        self.journal.record(user, DOOR, origin).await?;
        log::info!("user={user} signed in: door={DOOR} first={}", admitted.made);
        Ok(admitted.account)
    }

    fn kept(&self, attempt: Option<&str>) -> Result<Attempt> {
        let gone = || {
            malformed(
                "oidc.attempt_missing",
                "This browser did not start this sign-in, or too long ago; start again at /auth/google, with cookies allowed.",
            )
        };
        let sealed = attempt.and_then(Sealed::from_text).ok_or_else(gone)?;
        // Forged, damaged or of a key that is gone: all the same to the caller.
        let bytes = self.sealer.open(PURPOSE, &sealed).map_err(|error| gone().because(error))?;
        let kept: Kept = serde_json::from_slice(&bytes).map_err(|error| gone().because(error))?;
        if kept.until < clock::now() { Err(gone()) } else { Ok(kept.attempt) }
    }
}

fn malformed(code: &'static str, public: &str) -> Error {
    Error::new(Kind::Malformed, code, public)
}
