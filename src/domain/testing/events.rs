//! What identity and events stand on, in memory.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;

use super::flow_store::effect;
use super::held;
use crate::cache::Cache;
use crate::openid::{OAuthVerifier, Profile, Shown, Subject};
use crate::queue::{Event, Outbox, Queue};
use crate::sealed::{Sealed, Sealer};
use crate::{Error, Kind, Result};

/// Keeps what is added and relays nothing.
#[derive(Default)]
pub struct MemoryOutbox(Mutex<Vec<Event>>);

impl MemoryOutbox {
    pub fn events(&self) -> Vec<Event> {
        held(&self.0).clone()
    }
}

#[async_trait]
impl Outbox for MemoryOutbox {
    async fn add(&self, events: &[Event]) -> Result<()> {
        effect().await;
        let mut known = held(&self.0);
        for event in events {
            if known.iter().all(|other| other.id != event.id) {
                known.push(event.clone());
            }
        }
        Ok(())
    }

    async fn relay(&self, _: &dyn Queue, _: usize) -> Result<usize> {
        Ok(0)
    }

    async fn stirred(&self) {
        std::future::pending().await
    }
}

/// Keeps values for ever.
#[derive(Default)]
pub struct MemoryCache(Mutex<BTreeMap<String, Vec<u8>>>);

#[async_trait]
impl Cache for MemoryCache {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(held(&self.0).get(key).cloned())
    }

    async fn put(&self, key: &str, value: Vec<u8>, _: Duration) -> Result<()> {
        held(&self.0).insert(key.to_owned(), value);
        Ok(())
    }

    async fn remove(&self, key: &str) -> Result<()> {
        held(&self.0).remove(key);
        Ok(())
    }
}

/// A provider that knows the access tokens it was told of.
#[derive(Default)]
pub struct KnownTokens(Mutex<BTreeMap<String, Profile>>);

impl KnownTokens {
    pub fn put(&self, access_token: &str, profile: Profile) {
        held(&self.0).insert(access_token.to_owned(), profile);
    }

    fn get(&self, shown: &Shown) -> Result<Profile> {
        let invalid = || Error::new(Kind::Unauthenticated, "oauth.token_invalid", "This token is not good.");
        held(&self.0).get(&shown.access_token).cloned().ok_or_else(invalid)
    }
}

#[async_trait]
impl OAuthVerifier for KnownTokens {
    async fn verify(&self, shown: &Shown) -> Result<Subject> {
        Ok(self.get(shown)?.subject)
    }

    async fn profile(&self, shown: &Shown, _: &Subject) -> Result<Profile> {
        self.get(shown)
    }
}

/// Seals nothing, but knows the purpose again.
pub struct Unsealed;

impl Sealer for Unsealed {
    fn seal(&self, purpose: &str, plain: &[u8]) -> Result<Sealed> {
        Ok(Sealed { key_id: "none".into(), nonce: purpose.into(), ciphertext: plain.into() })
    }

    fn open(&self, purpose: &str, sealed: &Sealed) -> Result<Vec<u8>> {
        match sealed.nonce == purpose.as_bytes() {
            true => Ok(sealed.ciphertext.clone()),
            false => Err(Error::internal("sealed for another purpose")),
        }
    }
}
