//! The outbox and the queue in one process.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use flow_domain::queue::{DeadLetter, Delivery, Event, GivenBack, Outbox, Queue, Subscription};
use flow_domain::{EventId, Result, clock};
use tokio::sync::{Mutex as AsyncMutex, Notify};
use tokio::time::Instant;

use super::lock;

const RECEIVE_WAIT: Duration = Duration::from_secs(5);
/// Between two looks for what is due again.
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub struct MemoryQueue {
    held_for: Duration,
    outbox: Mutex<VecDeque<Event>>,
    relay: AsyncMutex<()>,
    consumers: Mutex<BTreeMap<String, Consumer>>,
    stirred: Notify,
    published: Notify,
}

#[derive(Default)]
struct Consumer {
    topics: Vec<String>,
    limit: u32,
    waiting: Vec<Waiting>,
    dead: Vec<DeadLetter>,
}

struct Waiting {
    event: Event,
    attempts: u32,
    visible_at: Instant,
}

impl MemoryQueue {
    /// What a consumer has in hand for longer than this is given to another.
    pub fn new(held_for: Duration) -> Self {
        Self {
            held_for,
            outbox: Mutex::default(),
            relay: AsyncMutex::default(),
            consumers: Mutex::default(),
            stirred: Notify::new(),
            published: Notify::new(),
        }
    }

    fn with<T: Default>(&self, consumer: &str, act: impl FnOnce(&mut Consumer) -> T) -> T {
        lock(&self.consumers).get_mut(consumer).map(act).unwrap_or_default()
    }

    fn claim(&self, consumer: &str, at_most: usize) -> Vec<Delivery> {
        let now = Instant::now();
        self.with(consumer, |consumer| {
            consumer.bury_spent(now);
            let due = consumer.waiting.iter_mut().filter(|waiting| waiting.visible_at <= now);
            due.take(at_most)
                .map(|waiting| {
                    waiting.attempts += 1;
                    waiting.visible_at = now + self.held_for;
                    let (event, attempt) = (waiting.event.clone(), waiting.attempts);
                    Delivery { event, attempt, receipt: attempt.into() }
                })
                .collect()
        })
    }
}

impl Consumer {
    fn push(&mut self, event: &Event) {
        if self.waiting.iter().all(|waiting| waiting.event.id != event.id) {
            let waiting = Waiting { event: event.clone(), attempts: 0, visible_at: Instant::now() };
            self.waiting.push(waiting);
        }
    }

    fn position(&self, delivery: &Delivery) -> Option<usize> {
        self.waiting.iter().position(|waiting| {
            waiting.event.id == delivery.event.id && u64::from(waiting.attempts) == delivery.receipt
        })
    }

    fn bury(&mut self, position: usize, reason: String) {
        let Waiting { event, attempts, .. } = self.waiting.remove(position);
        self.dead.retain(|letter| letter.event.id != event.id);
        self.dead.push(DeadLetter { event, attempts, reason, at: clock::now() });
    }

    fn bury_spent(&mut self, now: Instant) {
        let limit = self.limit;
        let spent = |waiting: &Waiting| waiting.visible_at <= now && waiting.attempts >= limit;
        while let Some(position) = self.waiting.iter().position(spent) {
            let times = self.waiting[position].attempts;
            self.bury(position, format!("delivered {times} times, and nobody said how it went"));
        }
    }
}

#[async_trait]
impl Queue for MemoryQueue {
    async fn declare(&self, subscription: &Subscription) -> Result<()> {
        let mut consumers = lock(&self.consumers);
        let consumer = consumers.entry(subscription.consumer.clone()).or_default();
        consumer.topics.clone_from(&subscription.topics);
        consumer.limit = subscription.delivery_limit;
        Ok(())
    }

    async fn publish(&self, events: &[Event]) -> Result<()> {
        for event in events {
            for consumer in lock(&self.consumers).values_mut() {
                if consumer.topics.contains(&event.topic) {
                    consumer.push(event);
                }
            }
        }
        self.published.notify_waiters();
        Ok(())
    }

    async fn receive(&self, consumer: &str, at_most: usize) -> Result<Vec<Delivery>> {
        let deadline = Instant::now() + RECEIVE_WAIT;
        loop {
            let published = self.published.notified();
            let deliveries = self.claim(consumer, at_most);
            if !deliveries.is_empty() || Instant::now() >= deadline {
                return Ok(deliveries);
            }
            let _ = tokio::time::timeout(LOOK_EVERY, published).await;
        }
    }

    async fn ack(&self, consumer: &str, delivery: &Delivery) -> Result<()> {
        self.with(consumer, |consumer| {
            if let Some(position) = consumer.position(delivery) {
                consumer.waiting.remove(position);
            }
        });
        Ok(())
    }

    async fn give_back(
        &self,
        consumer: &str,
        delivery: &Delivery,
        reason: &str,
        after: Duration,
    ) -> Result<GivenBack> {
        let given = self.with(consumer, |consumer| {
            let position = consumer.position(delivery)?;
            if delivery.attempt >= consumer.limit {
                consumer.bury(position, reason.to_owned());
                return Some(GivenBack::Dead);
            }
            consumer.waiting[position].visible_at = Instant::now() + after;
            Some(GivenBack::Again)
        });
        Ok(given.unwrap_or(GivenBack::Late))
    }

    async fn bury(&self, consumer: &str, delivery: &Delivery, reason: &str) -> Result<()> {
        self.with(consumer, |consumer| {
            if let Some(position) = consumer.position(delivery) {
                consumer.bury(position, reason.to_owned());
            }
        });
        Ok(())
    }

    async fn bereaved(&self) -> Result<Vec<String>> {
        let consumers = lock(&self.consumers);
        Ok(consumers.iter().filter(|(_, one)| !one.dead.is_empty()).map(|(name, _)| name.clone()).collect())
    }

    async fn dead(&self, consumer: &str, at_most: usize) -> Result<Vec<DeadLetter>> {
        Ok(self.with(consumer, |consumer| consumer.dead.iter().take(at_most).cloned().collect()))
    }

    async fn revive(&self, consumer: &str, event: EventId) -> Result<bool> {
        let revived = self.with(consumer, |consumer| {
            let position = consumer.dead.iter().position(|letter| letter.event.id == event);
            let letter = position.map(|position| consumer.dead.remove(position));
            letter.map(|letter| consumer.push(&letter.event)).is_some()
        });
        self.published.notify_waiters();
        Ok(revived)
    }

    async fn forget(&self, consumer: &str, event: EventId) -> Result<bool> {
        Ok(self.with(consumer, |consumer| {
            let before = consumer.dead.len();
            consumer.dead.retain(|letter| letter.event.id != event);
            consumer.dead.len() < before
        }))
    }

    async fn ping(&self) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl Outbox for MemoryQueue {
    async fn add(&self, events: &[Event]) -> Result<()> {
        let mut outbox = lock(&self.outbox);
        for event in events {
            if outbox.iter().all(|waiting| waiting.id != event.id) {
                outbox.push_back(event.clone());
            }
        }
        self.stirred.notify_one();
        Ok(())
    }

    async fn relay(&self, queue: &dyn Queue, at_most: usize) -> Result<usize> {
        let Ok(_alone) = self.relay.try_lock() else { return Ok(0) };
        let events: Vec<Event> = lock(&self.outbox).iter().take(at_most).cloned().collect();
        queue.publish(&events).await?;
        lock(&self.outbox).drain(..events.len());
        Ok(events.len())
    }

    async fn stirred(&self) {
        let _ = tokio::time::timeout(Duration::from_secs(1), self.stirred.notified()).await;
    }
}
