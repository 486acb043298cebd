//! The cache of one process.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use flow_domain::Result;
use flow_domain::cache::Cache;
use moka::Expiry;

/// In bytes, keys and values together.
const CAPACITY: u64 = 64 * 1024 * 1024;

type Entry = (Vec<u8>, Duration);

pub struct MokaCache(moka::future::Cache<String, Entry>);

/// Each entry brings its own time.
struct OwnTime;

impl Expiry<String, Entry> for OwnTime {
    fn expire_after_create(&self, _: &String, (_, ttl): &Entry, _: Instant) -> Option<Duration> {
        Some(*ttl)
    }

    fn expire_after_update(
        &self,
        _: &String,
        (_, ttl): &Entry,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(*ttl)
    }
}

impl Default for MokaCache {
    fn default() -> Self {
        let weight = |key: &String, (value, _): &Entry| {
            u32::try_from(key.len().saturating_add(value.len())).unwrap_or(u32::MAX)
        };
        let cache = moka::future::Cache::builder().max_capacity(CAPACITY).weigher(weight);
        Self(cache.expire_after(OwnTime).build())
    }
}

#[async_trait]
impl Cache for MokaCache {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.0.get(key).await.map(|(value, _)| value))
    }

    async fn put(&self, key: &str, value: Vec<u8>, ttl: Duration) -> Result<()> {
        self.0.insert(key.to_owned(), (value, ttl)).await;
        Ok(())
    }

    async fn remove(&self, key: &str) -> Result<()> {
        self.0.invalidate(key).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    #[tokio::test]
    async fn the_last_value_is_kept_until_it_is_removed() {
        let cache = MokaCache::default();
        assert_eq!(cache.get("a").await.unwrap(), None);
        for value in [b"one", b"two"] {
            cache.put("a", value.to_vec(), LONG).await.unwrap();
            assert_eq!(cache.get("a").await.unwrap().as_deref(), Some(value.as_slice()));
        }
        assert_eq!(cache.get("b").await.unwrap(), None);
        cache.remove("a").await.unwrap();
        assert_eq!(cache.get("a").await.unwrap(), None);
    }

    #[tokio::test]
    async fn each_value_has_its_own_time() {
        let cache = MokaCache::default();
        cache.put("long", vec![1], LONG).await.unwrap();
        cache.put("short", vec![1], LONG).await.unwrap();
        cache.put("short", vec![2], Duration::ZERO).await.unwrap();
        assert_eq!(cache.get("short").await.unwrap(), None);
        assert_eq!(cache.get("long").await.unwrap(), Some(vec![1]));
    }
}
