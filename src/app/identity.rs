//! Signing in, put together from the settings.

use std::sync::Arc;
use std::time::Duration;

use flow_domain::users::{Identity, Parts, Passwords, Times, Tokens};

use super::stores::Stores;
use crate::config::Config;
use crate::driven::attempts::{AttemptLimits, GovernedAttempts};
use crate::driven::credentials::BcryptPasswords;
use crate::driven::postgres::{PgLogins, PgRevocations, PgUsers};
use crate::driver::http::Edge;

/// bcrypt's cost: about a quarter of a second of one core.
const PASSWORD_COST: u32 = 12;
/// How long a sign-in waits for its turn to hash.
const PASSWORD_WAIT: Duration = Duration::from_secs(10);

pub(super) fn passwords(cores: usize) -> Result<BcryptPasswords, String> {
    BcryptPasswords::new(PASSWORD_COST, cores, PASSWORD_WAIT)
}

pub(super) fn assemble(
    config: &Config,
    stores: &Stores,
    passwords: Arc<dyn Passwords>,
    tokens: Arc<dyn Tokens>,
) -> Identity {
    let auth = &config.auth;
    let parts = Parts {
        users: Arc::new(PgUsers::new(stores.pool.clone())),
        passwords,
        tokens,
        logins: Arc::new(PgLogins::new(stores.pool.clone())),
        revocations: Arc::new(PgRevocations::new(stores.pool.clone(), stores.session.clone())),
        attempts: Arc::new(GovernedAttempts::new(AttemptLimits {
            failures_per_account: auth.failures_per_account,
            failures_per_address: auth.failures_per_address,
            openings_per_address: auth.openings_per_address,
            shown_per_address: config.oidc.shown_per_address,
        })),
    };
    let seconds = |seconds: std::num::NonZeroU32| Duration::from_secs(seconds.get().into());
    let times = Times {
        token: seconds(auth.token_ttl_s),
        access: seconds(auth.access_ttl_s),
        refresh: seconds(auth.refresh_ttl_s),
    };
    Identity::new(parts, times, auth.open_signup)
}

/// What stands between the service and its clients.
pub(super) fn edge(config: &Config) -> Edge {
    let server = &config.server;
    Edge {
        trusted_proxies: server.trusted_proxies.iter().map(|network| network.0).collect(),
        https: server.public_url.as_deref().is_some_and(|url| url.starts_with("https://")),
        cors_origins: server.cors_origins.clone(),
    }
}
