//! What the provider says of itself: its addresses and its keys, kept for a while.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use flow_domain::Result;
use openidconnect::core::{
    CoreAuthDisplay, CoreClaimName, CoreClaimType, CoreClientAuthMethod, CoreGrantType, CoreJsonWebKey,
    CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm, CoreResponseMode, CoreResponseType,
    CoreSubjectIdentifierType,
};
use openidconnect::{AdditionalProviderMetadata, IssuerUrl, ProviderMetadata};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::away;
use super::wire::Wire;

/// After this it is asked for again; while the provider is away the old stays good.
const FRESH_FOR: Duration = Duration::from_secs(3600);
/// A provider that just failed is not asked again by everyone who waits.
const FAILED_FOR: Duration = Duration::from_millis(500);
/// A token with an unknown key makes us ask for the keys, so a flood of made-up ones must not become a flood of ours.
const RENEWALS: usize = 5;
const RENEWALS_WITHIN: Duration = Duration::from_secs(60);

/// RFC 8414's, which OpenID Connect's own metadata lacks.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct More {
    pub introspection_endpoint: Option<String>,
}

impl AdditionalProviderMetadata for More {}

pub(super) type Metadata = ProviderMetadata<
    More,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

pub(super) struct Discovery {
    issuer: IssuerUrl,
    wire: Wire,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    found: Option<(Arc<Metadata>, Instant)>,
    failed_at: Option<Instant>,
    renewals: VecDeque<Instant>,
}

impl Discovery {
    pub(super) fn new(issuer: &str, wire: Wire) -> std::result::Result<Self, String> {
        let issuer = IssuerUrl::new(issuer.to_owned())
            .map_err(|error| format!("oidc.issuer is not a URL: {error}."))?;
        Ok(Self { issuer, wire, state: Mutex::default() })
    }

    pub(super) async fn get(&self) -> Result<Arc<Metadata>> {
        // Held while asking: whoever comes meanwhile waits for the one answer.
        let mut state = self.state.lock().await;
        match &state.found {
            Some((metadata, at)) if at.elapsed() < FRESH_FOR => Ok(metadata.clone()),
            Some((metadata, _)) => {
                let old = metadata.clone();
                Ok(self.fetch(&mut state).await.unwrap_or(old))
            }
            None => self.fetch(&mut state).await,
        }
    }

    /// Newer than `seen`, because a key was not among its keys. None: asked too often.
    pub(super) async fn renew(&self, seen: &Arc<Metadata>) -> Result<Option<Arc<Metadata>>> {
        let mut state = self.state.lock().await;
        if let Some((metadata, _)) = &state.found
            && !Arc::ptr_eq(metadata, seen)
        {
            return Ok(Some(metadata.clone()));
        }
        state.renewals.retain(|at| at.elapsed() < RENEWALS_WITHIN);
        if state.renewals.len() >= RENEWALS {
            return Ok(None);
        }
        state.renewals.push_back(Instant::now());
        self.fetch(&mut state).await.map(Some)
    }

    async fn fetch(&self, state: &mut State) -> Result<Arc<Metadata>> {
        if state.failed_at.is_some_and(|at| at.elapsed() < FAILED_FOR) {
            return Err(away("it failed a moment ago"));
        }
        match Metadata::discover_async(self.issuer.clone(), &self.wire).await {
            Ok(metadata) => {
                let metadata = Arc::new(metadata);
                state.found = Some((metadata.clone(), Instant::now()));
                state.failed_at = None;
                Ok(metadata)
            }
            Err(error) => {
                state.failed_at = Some(Instant::now());
                Err(away(error))
            }
        }
    }
}
