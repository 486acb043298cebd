//! Sign-in by others: the provider, what is kept of it, and who listens to events.

use std::sync::Arc;

use flow_domain::cache::Cache;
use flow_domain::flows::Flows;
use flow_domain::flows::on_event::StartFlow;
use flow_domain::ingest::StartChunks;
use flow_domain::openid::{
    AccessTokens, Identities, OAuthVerifier, Onboard, OpenIdDoor, OpenIdProvider, StoreUser,
};
use flow_domain::queue::{Handler, Queue};
use flow_domain::sealed::Sealer;
use flow_domain::users::Users;

use super::stores::Stores;
use crate::config::{self, Config};
use crate::driven::identity::{NoProvider, OidcProvider, OidcSettings, TokenCheck};
use crate::driven::postgres::{PgIdentities, PgQueue, PgSignInJournal};
use crate::driven::rabbitmq::RabbitQueue;
use crate::driven::sealing::{Keyring, StateKey};
use crate::driver::events::Lines;

/// What the other parts need of this.
pub(super) struct OpenId {
    pub access_tokens: Arc<AccessTokens>,
    pub cache: Arc<dyn Cache>,
    pub door: Arc<OpenIdDoor>,
    pub lines: Lines,
    identities: Arc<dyn Identities>,
}

impl OpenId {
    pub(super) fn new(config: &Config, stores: &Stores, cache: Arc<dyn Cache>) -> Result<Self, String> {
        let old = config.state.old_key.as_ref().map(|key| StateKey::new(key.bytes()));
        let sealer: Arc<dyn Sealer> = Arc::new(Keyring { current: stores.state_key.clone(), old });
        let (provider, verifier) = provider(config)?;
        let identities = Arc::new(PgIdentities::new(stores.pool.clone(), sealer.clone()));
        let outbox = Arc::new(PgQueue::new(stores.pool.clone()));
        let queue: Arc<dyn Queue> = match &config.queue.url {
            Some(url) => Arc::new(RabbitQueue::new(url.expose())?),
            None => outbox.clone(),
        };
        Ok(Self {
            access_tokens: Arc::new(AccessTokens { verifier, sealer: sealer.clone() }),
            cache,
            door: Arc::new(OpenIdDoor {
                provider,
                identities: identities.clone(),
                journal: Arc::new(PgSignInJournal(stores.pool.clone())),
                sealer,
            }),
            lines: Lines { queue, outbox },
            identities,
        })
    }

    /// Everyone who listens to events.
    pub(super) fn handlers(&self, users: Arc<dyn Users>, flows: Arc<Flows>) -> Vec<Arc<dyn Handler>> {
        let (identities, cache) = (self.identities.clone(), self.cache.clone());
        let started = StartFlow::all(&flows);
        let ours: [Arc<dyn Handler>; 3] = [
            Arc::new(StoreUser { identities, users, cache }),
            Arc::new(StartChunks { flows: flows.clone() }),
            Arc::new(Onboard { flows }),
        ];
        ours.into_iter().chain(started).collect()
    }
}

type Provider = (Arc<dyn OpenIdProvider>, Arc<dyn OAuthVerifier>);

fn provider(config: &Config) -> Result<Provider, String> {
    let oidc = &config.oidc;
    let (Some(issuer), Some(client_id)) = (&oidc.issuer, &oidc.client_id) else {
        return Ok((Arc::new(NoProvider), Arc::new(NoProvider)));
    };
    let provider = Arc::new(OidcProvider::new(OidcSettings {
        issuer: issuer.clone(),
        client_id: client_id.clone(),
        client_secret: oidc.client_secret.as_ref().map(|secret| secret.expose().to_owned()),
        scopes: oidc.scopes.clone(),
        redirect_url: oidc.redirect_url.clone(),
        audience: oidc.audience.clone().unwrap_or_else(|| client_id.clone()),
        token_check: match oidc.token_check {
            config::TokenCheck::Introspection => TokenCheck::Introspection,
            config::TokenCheck::Tokeninfo => TokenCheck::TokenInfo(oidc.tokeninfo_url.clone()),
            config::TokenCheck::IdToken => TokenCheck::IdToken,
        },
    })?);
    Ok((provider.clone(), provider))
}
