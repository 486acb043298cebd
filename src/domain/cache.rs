//! What is kept for a while to spare the store.

use std::time::Duration;

use async_trait::async_trait;

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
