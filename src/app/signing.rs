//! The keys that sign tokens: configured, or made once and kept in the database, where the command line changes them.

use std::sync::Arc;
use std::time::Duration;

use super::late_tokens::LateTokens;
use super::place::with_database;
use crate::config::{Config, Secret};
use crate::driven::credentials::{JwtTokens, SigningKey};
use crate::driven::postgres::keys::{self, TokenKey};
use crate::driven::postgres::{PgPool, PoolSettings};
use crate::driven::start_error::StartError;

/// Between two looks at the keys in the database.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// A new key signs so much later: by then every replica takes its tokens. One that has read nothing for half of this
/// takes no tokens at all, for it does not know which were ended.
const NOTICE: Duration = Duration::from_secs(60);
/// Tokens are taken a little beyond their end, clocks being what they are.
const OUTLIVES_TOKEN: Duration = Duration::from_secs(60);

pub(super) struct Signing {
    config: Config,
    pool: PgPool,
    /// The keys in force and whether each signs; empty where keys are configured.
    known: Vec<(i64, bool)>,
}

impl Signing {
    /// Finds the keys, making one where there is none, and lets tokens be made and taken.
    pub(super) async fn open(config: &Config, pool: PgPool, tokens: &LateTokens) -> Result<Self, String> {
        let mut signing = Self { config: config.clone(), pool, known: Vec::new() };
        match configured(config)? {
            Some(key) => tokens.arrive(signing.tokens(&key, &[])?),
            None => signing.look(tokens).await?,
        }
        Ok(signing)
    }

    /// Goes by what the command line changes, for as long as the process lives.
    pub(super) async fn follow(mut self, tokens: Arc<LateTokens>) {
        let mut failing = false;
        // Configured keys change with a restart.
        while !self.known.is_empty() {
            tokio::time::sleep(LOOK_EVERY).await;
            match self.look(&tokens).await {
                Ok(()) => failing = false,
                Err(error) if !failing => {
                    log::warn!("the keys of tokens cannot be read: {error}");
                    failing = true;
                }
                Err(_) => {}
            }
        }
    }

    async fn look(&mut self, tokens: &LateTokens) -> Result<(), String> {
        let keys = keys::token_keys(&self.pool).await.map_err(|error| error.to_string())?;
        let known: Vec<(i64, bool)> = keys.iter().map(|key| (key.id, key.signs)).collect();
        if known == self.known {
            return Ok(());
        }
        let mut current = None;
        let mut others = Vec::new();
        for TokenKey { secret, signs, .. } in keys {
            let key = SigningKey::from_bytes(secret)?;
            match signs && current.is_none() {
                true => current = Some(key),
                false => others.push(key),
            }
        }
        let current = current.ok_or("none of the keys of tokens signs yet")?;
        if !self.known.is_empty() {
            log::info!("tokens are signed with the key {}, taken with {} more", current.kid(), others.len());
        }
        tokens.arrive(self.tokens(&current, &others)?);
        self.known = known;
        Ok(())
    }

    fn tokens(&self, current: &SigningKey, others: &[SigningKey]) -> Result<JwtTokens, String> {
        let auth = &self.config.auth;
        let second = parsed(auth.second_secret.as_ref(), auth.second_key.as_ref())?;
        let tokens = JwtTokens::new(current, &*auth.issuer, &*auth.audience);
        Ok(others.iter().chain(&second).fold(tokens, JwtTokens::accepting))
    }
}

/// A key whose tokens are taken, for people to look at.
pub struct Shown {
    pub kid: String,
    pub key: TokenKey,
}

/// Makes a new key; at once, if the one before has leaked: its tokens then end.
pub fn rotate(config: &Config, leaked: bool) -> Result<Vec<Shown>, StartError> {
    let auth = &config.auth;
    let longest = auth.token_ttl_s.max(auth.access_ttl_s).get();
    let (notice, keep) = match leaked {
        true => (Duration::ZERO, Duration::ZERO),
        false => (NOTICE, Duration::from_secs(longest.into()) + OUTLIVES_TOKEN),
    };
    on_keys(config, async |pool| keys::rotate(&pool, notice, keep).await)
}

/// The keys whose tokens are taken, the newest first.
pub fn list(config: &Config) -> Result<Vec<Shown>, StartError> {
    on_keys(config, async |pool| keys::token_keys(&pool).await)
}

fn on_keys(
    config: &Config,
    work: impl AsyncFnOnce(PgPool) -> flow_domain::Result<Vec<TokenKey>>,
) -> Result<Vec<Shown>, StartError> {
    if configured(config).map_err(StartError::new)?.is_some() {
        let sentence = "The key of tokens is configured, by auth.secret or auth.key, and is changed there.";
        return Err(StartError::new(sentence));
    }
    let keys = with_database(config, async |database| {
        let settings = PoolSettings { size: 1, ..PoolSettings::default() };
        work(PgPool::new(database, &settings)).await
    })?;
    let shown = |key: TokenKey| {
        let kid = SigningKey::from_bytes(key.secret.clone()).map_err(StartError::new)?.kid();
        Ok(Shown { kid, key })
    };
    keys.into_iter().map(shown).collect()
}

fn configured(config: &Config) -> Result<Option<SigningKey>, String> {
    parsed(config.auth.secret.as_ref(), config.auth.key.as_ref())
}

fn parsed(secret: Option<&Secret>, pem: Option<&Secret>) -> Result<Option<SigningKey>, String> {
    match (secret, pem) {
        (_, Some(pem)) => SigningKey::from_pem(pem.expose()).map(Some),
        (Some(secret), None) => SigningKey::from_text(secret.expose()).map(Some),
        (None, None) => Ok(None),
    }
}
