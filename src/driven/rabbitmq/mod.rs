//! Events over RabbitMQ: a quorum queue for each consumer, publisher confirms, acknowledgements by hand.
//!
//! The outbox stays in PostgreSQL, beside the facts; the relay publishes from it and forgets an event once the broker
//! has confirmed it. RabbitMQ knows no ids, so a consumer may get an event twice: it is its inbox that knows.

mod dead;
mod hinting;
mod hints;
mod line;
mod link;
mod message;
mod topology;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use flow_domain::queue::{DeadLetter, Delivery, Event, GivenBack, Queue, Subscription};
use flow_domain::{EventId, Result};
use lapin::types::{FieldTable, ShortString};
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::{Instant, timeout};

pub use hinting::HintingFlowStore;
pub use hints::Hints;

use line::{Line, again, done};
use link::{Broker, away};
use topology::{DEAD, EVENTS};

/// How long `receive` waits for the first event.
const RECEIVE_WAIT: Duration = Duration::from_secs(5);
/// For a queue that answers.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// What a living consumer has in hand for so long comes again; what a dead one had, at once.
const HELD_FOR: Duration = Duration::from_secs(600);

pub struct RabbitQueue {
    broker: Arc<Broker>,
    held_for: Duration,
    lines: Mutex<HashMap<String, Slot>>,
}

/// A lock for each consumer: one whose queue has no leader keeps no other waiting.
type Slot = Arc<AsyncMutex<Option<Arc<Line>>>>;

impl RabbitQueue {
    /// `url` is `amqp://user:password@host:5672/vhost`; nothing is contacted yet. The error is one sentence.
    pub fn new(url: &str) -> Result<Self, String> {
        Ok(Self { broker: Arc::new(Broker::new(url)?), held_for: HELD_FOR, lines: Mutex::default() })
    }

    /// With another time after which what a consumer has in hand comes again.
    pub fn held_for(self, held_for: Duration) -> Self {
        Self { held_for, ..self }
    }

    /// Where the consumer's deliveries come from; opened on the first, and again on a new link.
    async fn line(&self, consumer: &str) -> Result<Arc<Line>> {
        let link = self.broker.link().await?;
        let slot = self.slot(consumer);
        let mut known = slot.lock().await;
        if let Some(line) = known.as_ref().filter(|line| line.is_up() && Arc::ptr_eq(&line.link, &link)) {
            return Ok(line.clone());
        }
        let opened = timeout(OPEN_TIMEOUT, Line::open(link, consumer)).await;
        let line = Arc::new(opened.unwrap_or_else(|_| Err(away("a queue does not answer")))?);
        *known = Some(line.clone());
        Ok(line)
    }

    fn slot(&self, consumer: &str) -> Slot {
        let mut slots = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        slots.entry(consumer.to_owned()).or_default().clone()
    }

    /// The delivery's line and message, if it is ours still.
    async fn held(&self, consumer: &str, delivery: &Delivery) -> Option<(Arc<Line>, line::InHand)> {
        let line = self.slot(consumer).lock().await.clone()?;
        let held = line.let_go(delivery)?;
        Some((line, held))
    }

    /// Puts a copy elsewhere and then takes the message off its queue. If the copy fails the message comes again.
    async fn move_to(
        &self,
        line: &Line,
        acker: &lapin::Acker,
        queue: ShortString,
        event: &Event,
        headers: FieldTable,
    ) -> Result<()> {
        let moved = async {
            let sent = message::publish(&line.link.publisher, "", queue, event, headers).await?;
            message::confirmed(sent).await
        };
        match moved.await {
            Ok(()) => done(acker).await,
            Err(error) => {
                let _ = again(acker).await;
                Err(error)
            }
        }
    }
}

#[async_trait]
impl Queue for RabbitQueue {
    async fn declare(&self, subscription: &Subscription) -> Result<()> {
        self.broker.declare(subscription).await
    }

    async fn publish(&self, events: &[Event]) -> Result<()> {
        let link = self.broker.link().await?;
        let mut confirms = Vec::with_capacity(events.len());
        for event in events {
            // To a topic whose name the broker cannot hold nobody can listen.
            let Ok(topic) = topology::name(&event.topic) else { continue };
            let none = FieldTable::default();
            confirms.push(message::publish(&link.publisher, EVENTS, topic, event, none).await?);
        }
        for confirm in confirms {
            message::confirmed(confirm).await?;
        }
        Ok(())
    }

    async fn receive(&self, consumer: &str, at_most: usize) -> Result<Vec<Delivery>> {
        let deadline = Instant::now() + RECEIVE_WAIT;
        let limit = self.broker.delivery_limit(consumer);
        loop {
            let line = self.line(consumer).await?;
            line.give_up(self.held_for).await?;
            let (deliveries, spent) = line.take(at_most, limit, deadline).await?;
            for spent in spent {
                let headers =
                    message::buried(consumer, spent.attempts, &message::nobody_said(spent.attempts));
                self.move_to(&line, &spent.acker, DEAD.into(), &spent.event, headers).await?;
            }
            if !deliveries.is_empty() || Instant::now() >= deadline {
                return Ok(deliveries);
            }
        }
    }

    async fn ack(&self, consumer: &str, delivery: &Delivery) -> Result<()> {
        match self.held(consumer, delivery).await {
            Some((_, held)) => done(&held.acker).await,
            None => Ok(()),
        }
    }

    async fn give_back(
        &self,
        consumer: &str,
        delivery: &Delivery,
        reason: &str,
        after: Duration,
    ) -> Result<GivenBack> {
        let Some((line, held)) = self.held(consumer, delivery).await else { return Ok(GivenBack::Late) };
        let (event, attempt) = (&delivery.event, delivery.attempt);
        if attempt >= self.broker.delivery_limit(consumer) {
            let headers = message::buried(consumer, attempt, reason);
            self.move_to(&line, &held.acker, DEAD.into(), event, headers).await?;
            return Ok(GivenBack::Dead);
        }
        if after.is_zero() {
            again(&held.acker).await?;
        } else {
            let queue = topology::waiting_queue(&line.link.publisher, consumer, after).await?;
            self.move_to(&line, &held.acker, queue, event, message::delivered(attempt)).await?;
        }
        Ok(GivenBack::Again)
    }

    async fn bury(&self, consumer: &str, delivery: &Delivery, reason: &str) -> Result<()> {
        let Some((line, held)) = self.held(consumer, delivery).await else { return Ok(()) };
        let headers = message::buried(consumer, delivery.attempt, reason);
        self.move_to(&line, &held.acker, DEAD.into(), &delivery.event, headers).await
    }

    async fn bereaved(&self) -> Result<Vec<String>> {
        dead::bereaved(&*self.broker.link().await?).await
    }

    async fn dead(&self, consumer: &str, at_most: usize) -> Result<Vec<DeadLetter>> {
        dead::letters(&*self.broker.link().await?, consumer, at_most).await
    }

    async fn revive(&self, consumer: &str, event: EventId) -> Result<bool> {
        dead::revive(&*self.broker.link().await?, consumer, event).await
    }

    async fn forget(&self, consumer: &str, event: EventId) -> Result<bool> {
        dead::forget(&*self.broker.link().await?, consumer, event).await
    }

    async fn ping(&self) -> Result<()> {
        let link = self.broker.link().await?;
        topology::ground(&link.publisher).await
    }
}
