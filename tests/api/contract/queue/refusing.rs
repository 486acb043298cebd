//! A queue that takes nothing.

use super::*;
use async_trait::async_trait;
use flow_domain::queue::DeadLetter;
use flow_domain::{Error, EventId, Result};

/// A broker that is away.
pub struct Refusing;

fn away<T>() -> Result<T> {
    Err(Error::unavailable("queue.unavailable", "away"))
}

#[async_trait]
impl Queue for Refusing {
    async fn declare(&self, _: &Subscription) -> Result<()> {
        away()
    }
    async fn publish(&self, _: &[Event]) -> Result<()> {
        away()
    }
    async fn receive(&self, _: &str, _: usize) -> Result<Vec<Delivery>> {
        away()
    }
    async fn ack(&self, _: &str, _: &Delivery) -> Result<()> {
        away()
    }
    async fn give_back(&self, _: &str, _: &Delivery, _: &str, _: Duration) -> Result<GivenBack> {
        away()
    }
    async fn bury(&self, _: &str, _: &Delivery, _: &str) -> Result<()> {
        away()
    }
    async fn bereaved(&self) -> Result<Vec<String>> {
        away()
    }
    async fn dead(&self, _: &str, _: usize) -> Result<Vec<DeadLetter>> {
        away()
    }
    async fn revive(&self, _: &str, _: EventId) -> Result<bool> {
        away()
    }
    async fn forget(&self, _: &str, _: EventId) -> Result<bool> {
        away()
    }
    async fn ping(&self) -> Result<()> {
        away()
    }
}
