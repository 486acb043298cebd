//! The cache that replicas share.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use flow_domain::Result;
use flow_domain::cache::Cache;

use super::RedisLink;

/// Before every key: a Redis may serve others too.
const PREFIX: &str = "flow-manager:";
/// Removals that wait for Redis; of more than that only their time takes the values away.
const MOST_OWED: usize = 10_000;

pub struct RedisCache {
    link: Arc<RedisLink>,
    /// What could not be removed while Redis was away. It may come back as it was, and would be believed.
    owed: Arc<Mutex<HashSet<String>>>,
}

impl RedisCache {
    pub fn new(link: Arc<RedisLink>) -> Self {
        Self { link, owed: Arc::default() }
    }

    fn owe(&self, key: String) {
        let mut owed = held(&self.owed);
        let first = owed.is_empty();
        if owed.len() < MOST_OWED {
            owed.insert(key);
        }
        if first {
            tokio::spawn(pay(self.link.clone(), self.owed.clone()));
        }
    }
}

#[async_trait]
impl Cache for RedisCache {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let key = format!("{PREFIX}{key}");
        if held(&self.owed).contains(&key) {
            return Ok(None);
        }
        self.link.call(redis::cmd("GET").arg(key)).await
    }

    async fn put(&self, key: &str, value: Vec<u8>, ttl: Duration) -> Result<()> {
        let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        if ttl_ms == 0 {
            return self.remove(key).await;
        }
        let mut set = redis::cmd("SET");
        self.link.call(set.arg(format!("{PREFIX}{key}")).arg(value).arg("PX").arg(ttl_ms)).await
    }

    async fn remove(&self, key: &str) -> Result<()> {
        let key = format!("{PREFIX}{key}");
        let removed = self.link.call(redis::cmd("DEL").arg(&key)).await;
        if removed.is_err() {
            self.owe(key);
        }
        removed
    }
}

/// Removes what is owed as soon as Redis is there, until nothing is.
async fn pay(link: Arc<RedisLink>, owed: Arc<Mutex<HashSet<String>>>) {
    loop {
        let lost = link.up().await;
        let keys = held(&owed).clone();
        match link.call::<()>(redis::cmd("DEL").arg(&keys)).await {
            Ok(()) => {
                let mut owed = held(&owed);
                owed.retain(|key| !keys.contains(key));
                if owed.is_empty() {
                    return;
                }
            }
            // One that is there and refuses is asked again after its next connection.
            Err(_) => lost.await,
        }
    }
}

/// Nothing that holds it can panic.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
