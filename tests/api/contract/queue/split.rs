//! Two adapters as one: a queue, and an outbox beside it.

use super::*;
use async_trait::async_trait;
use flow_domain::queue::DeadLetter;
use flow_domain::{EventId, Result};

/// Events go through RabbitMQ; the outbox is in PostgreSQL.
pub(super) struct Split(pub RabbitQueue, pub PgQueue);

#[async_trait]
impl Outbox for Split {
    async fn add(&self, events: &[Event]) -> Result<()> {
        self.1.add(events).await
    }
    async fn relay(&self, queue: &dyn Queue, at_most: usize) -> Result<usize> {
        self.1.relay(queue, at_most).await
    }
    async fn stirred(&self) {
        self.1.stirred().await;
    }
}

#[async_trait]
impl Queue for Split {
    async fn declare(&self, subscription: &Subscription) -> Result<()> {
        self.0.declare(subscription).await
    }
    async fn publish(&self, events: &[Event]) -> Result<()> {
        self.0.publish(events).await
    }
    async fn receive(&self, consumer: &str, at_most: usize) -> Result<Vec<Delivery>> {
        self.0.receive(consumer, at_most).await
    }
    async fn ack(&self, consumer: &str, delivery: &Delivery) -> Result<()> {
        self.0.ack(consumer, delivery).await
    }
    async fn give_back(
        &self,
        consumer: &str,
        delivery: &Delivery,
        reason: &str,
        after: Duration,
    ) -> Result<GivenBack> {
        self.0.give_back(consumer, delivery, reason, after).await
    }
    async fn bury(&self, consumer: &str, delivery: &Delivery, reason: &str) -> Result<()> {
        self.0.bury(consumer, delivery, reason).await
    }
    async fn bereaved(&self) -> Result<Vec<String>> {
        self.0.bereaved().await
    }
    async fn dead(&self, consumer: &str, at_most: usize) -> Result<Vec<DeadLetter>> {
        self.0.dead(consumer, at_most).await
    }
    async fn revive(&self, consumer: &str, event: EventId) -> Result<bool> {
        self.0.revive(consumer, event).await
    }
    async fn forget(&self, consumer: &str, event: EventId) -> Result<bool> {
        self.0.forget(consumer, event).await
    }
    async fn ping(&self) -> Result<()> {
        self.0.ping().await
    }
}
