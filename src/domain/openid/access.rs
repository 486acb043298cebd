//! Access tokens on their way through a flow: a run's input is kept, so it never holds one as it is.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{OAuthVerifier, Profile, Shown, Subject};
use crate::clock;
use crate::sealed::{Sealed, Sealer};
use crate::{Error, Kind, Result};

const PURPOSE: &str = "access token of a run";
/// A run that takes longer than this asks its caller to come back.
const GOOD_FOR: Duration = Duration::from_secs(600);

/// Seals what callers show, and asks the provider about what was sealed.
pub struct AccessTokens {
    pub verifier: Arc<dyn OAuthVerifier>,
    pub sealer: Arc<dyn Sealer>,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    shown: Shown,
    until: Timestamp,
}

impl AccessTokens {
    pub fn seal(&self, shown: Shown) -> Result<String> {
        let until = clock::now().checked_add(GOOD_FOR).map_err(Error::internal)?;
        let kept = serde_json::to_vec(&Kept { shown, until }).map_err(Error::internal)?;
        Ok(self.sealer.seal(PURPOSE, &kept)?.to_text())
    }

    pub async fn verify(&self, sealed: &str) -> Result<Subject> {
        self.verifier.verify(&self.open(sealed)?).await
    }

    pub async fn profile(&self, sealed: &str, subject: &Subject) -> Result<Profile> {
        self.verifier.profile(&self.open(sealed)?, subject).await
    }

    fn open(&self, sealed: &str) -> Result<Shown> {
        let invalid = || {
            let public = "This is no sealed access token of ours, or one that is too old.";
            Error::new(Kind::Unauthenticated, "oauth.token_invalid", public)
        };
        let sealed = Sealed::from_text(sealed).ok_or_else(invalid)?;
        let plain = self.sealer.open(PURPOSE, &sealed).map_err(|error| invalid().because(error))?;
        let kept: Kept = serde_json::from_slice(&plain).map_err(|error| invalid().because(error))?;
        if kept.until < clock::now() { Err(invalid()) } else { Ok(kept.shown) }
    }
}
