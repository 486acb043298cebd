//! Revocations in memory; who holds the same store shares them, as replicas do.

use std::sync::Mutex;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::Notify;

use super::held;
use crate::Result;
use crate::users::{Mark, RevocationStore, Revoked};

#[derive(Default)]
pub struct MemoryRevocations {
    /// With their numbers, from 1.
    recorded: Mutex<(u64, Vec<(u64, Revoked)>)>,
    told: Notify,
}

#[async_trait]
impl RevocationStore for MemoryRevocations {
    async fn record(&self, revoked: &Revoked) -> Result<()> {
        let mut recorded = held(&self.recorded);
        recorded.0 += 1;
        let number = recorded.0;
        recorded.1.push((number, revoked.clone()));
        self.told.notify_waiters();
        Ok(())
    }

    async fn read(&self, since: Option<&Mark>) -> Result<(Vec<Revoked>, Mark)> {
        let since: u64 = since.and_then(|mark| mark.0.parse().ok()).unwrap_or_default();
        let recorded = held(&self.recorded);
        let new = recorded.1.iter().filter(|(number, _)| *number > since);
        Ok((new.map(|(_, revoked)| revoked.clone()).collect(), Mark(recorded.0.to_string())))
    }

    async fn changed(&self) {
        self.told.notified().await;
    }

    async fn forget(&self) -> Result<u64> {
        let now = Timestamp::now();
        let mut recorded = held(&self.recorded);
        let before = recorded.1.len();
        recorded.1.retain(|(_, revoked)| revoked.until > now);
        Ok((before - recorded.1.len()) as u64)
    }
}
