//! What is kept for a while to spare the store.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::meters::{Counter, Family, Meters, Sample};
use crate::{Result, UserId};

/// Bytes by key, each for its time. What was put may be gone at any moment, and no caller may fail because the cache
/// does: it asks the store then.
#[async_trait]
pub trait Cache: Send + Sync {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>>;
    /// In the place of what was there.
    async fn put(&self, key: &str, value: Vec<u8>, ttl: Duration) -> Result<()>;
    async fn remove(&self, key: &str) -> Result<()>;
}

/// Where a user is cached, as JSON.
pub fn user_key(id: UserId) -> String {
    format!("user:{id}")
}

/// A cache whose answers are counted.
pub struct CountedCache {
    cache: Arc<dyn Cache>,
    hits: Counter,
    misses: Counter,
    failures: Counter,
}

impl CountedCache {
    pub fn new(cache: Arc<dyn Cache>) -> Self {
        Self { cache, hits: Counter::default(), misses: Counter::default(), failures: Counter::default() }
    }
}

#[async_trait]
impl Cache for CountedCache {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let found = self.cache.get(key).await;
        match &found {
            Ok(Some(_)) => self.hits.add(1),
            Ok(None) => self.misses.add(1),
            Err(_) => self.failures.add(1),
        }
        found
    }

    async fn put(&self, key: &str, value: Vec<u8>, ttl: Duration) -> Result<()> {
        self.cache.put(key, value, ttl).await
    }

    async fn remove(&self, key: &str) -> Result<()> {
        self.cache.remove(key).await
    }
}

#[async_trait]
impl Meters for CountedCache {
    async fn read(&self) -> Vec<Family> {
        let results = [("hit", &self.hits), ("miss", &self.misses), ("failure", &self.failures)];
        let samples = results.map(|(result, count)| Sample::new([("result", result)], count.reading()));
        vec![Family::new("cache_requests", "Look-ups in the cache", samples.into())]
    }
}
