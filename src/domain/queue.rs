//! Events between processes: what happened is stored with the fact itself, published from there, and delivered to
//! each consumer at least once.
//!
//! A fact's adapter writes its events into the [`Outbox`] in the fact's own transaction. A relay hands them to the
//! [`Queue`], which keeps a copy for each consumer until that consumer acknowledges it. A consumer acknowledges after
//! its own commit, so an event may come again; whoever must not do a thing twice remembers the event's id in the
//! transaction that does it.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{EventId, Result, clock};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The same for every delivery of this event.
    pub id: EventId,
    /// What kind of thing, as `user.created`.
    pub topic: String,
    /// What it happened to: events of one key are published in the order in which they were stored.
    pub key: String,
    /// JSON of the topic's own shape.
    pub data: Value,
    /// To the microsecond.
    pub at: Timestamp,
}

impl Event {
    /// An event of now, with an id of its own.
    pub fn new(topic: &str, key: impl Into<String>, data: Value) -> Self {
        Self { id: EventId::new(), topic: topic.to_owned(), key: key.into(), data, at: clock::now() }
    }

    /// With an id that says what happened, so that the same thing told twice is one event.
    pub fn with_id(self, id: EventId) -> Self {
        Self { id, ..self }
    }
}

/// A consumer and what it wants to hear. Processes that use one name share its deliveries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    pub consumer: String,
    pub topics: Vec<String>,
    /// After this many deliveries that were not acknowledged, an event is a dead letter. At least 1.
    pub delivery_limit: u32,
}

/// One delivery of one event to one consumer.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    pub event: Event,
    /// From 1.
    pub attempt: u32,
    /// Tells the queue which delivery is meant; means nothing to anyone else.
    pub receipt: u64,
}

/// What became of a delivery that was given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivenBack {
    /// It comes again.
    Again,
    /// Its deliveries are used up: it is a dead letter.
    Dead,
    /// It is no longer ours: it took too long, and was delivered again or settled meanwhile.
    Late,
}

/// An event that a consumer could not deal with, kept until somebody decides.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    pub event: Event,
    /// How often it was delivered.
    pub attempts: u32,
    /// Why it was given up, in words.
    pub reason: String,
    pub at: Timestamp,
}

/// Carries events to consumers.
///
/// An implementer guarantees: what `publish` returned for is not lost; a delivery is settled only by `ack`, by
/// `give_back` at the limit or by `bury`; a consumer that dies with a delivery in hand has it delivered again, to
/// itself or to another of its name; a consumer's first deliveries come in the order of publishing.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Makes the consumer known: what is published to its topics from now on is kept for it. Again with another limit
    /// replaces it, and adds topics that are new; those that are named no more may still come, so a consumer
    /// acknowledges what it does not know.
    async fn declare(&self, subscription: &Subscription) -> Result<()>;

    /// Keeps the events for every consumer of their topics, in this order; returns when they are safe. An event that
    /// a process has in hand is not given to it twice.
    async fn publish(&self, events: &[Event]) -> Result<()>;

    /// The next deliveries, 1 to `at_most`; waits for the first, some seconds at most, and answers none then.
    /// Who asks for more only after settling these has at most so many in hand.
    async fn receive(&self, consumer: &str, at_most: usize) -> Result<Vec<Delivery>>;

    /// Dealt with. To be called after the consumer's own commit; of a late delivery it does nothing.
    async fn ack(&self, consumer: &str, delivery: &Delivery) -> Result<()>;

    /// Not dealt with: to be delivered again, no sooner than `after`, unless this was the last of its deliveries.
    async fn give_back(
        &self,
        consumer: &str,
        delivery: &Delivery,
        reason: &str,
        after: Duration,
    ) -> Result<GivenBack>;

    /// Not to be dealt with, however often it came: a dead letter at once.
    async fn bury(&self, consumer: &str, delivery: &Delivery, reason: &str) -> Result<()>;

    /// The consumers that have dead letters, in alphabetical order.
    async fn bereaved(&self) -> Result<Vec<String>>;

    /// A consumer's dead letters, the oldest first.
    async fn dead(&self, consumer: &str, at_most: usize) -> Result<Vec<DeadLetter>>;

    /// Delivers a dead letter again, as if for the first time; `false`: there is none of this id.
    async fn revive(&self, consumer: &str, event: EventId) -> Result<bool>;

    /// Forgets a dead letter; `false`: there is none of this id.
    async fn forget(&self, consumer: &str, event: EventId) -> Result<bool>;

    /// Whether it can be reached.
    async fn ping(&self) -> Result<()>;
}

/// Events that are stored and not yet published.
///
/// An implementer guarantees: nothing that was rolled back is published, nothing committed is forgotten, and events
/// of one key are published in the order in which they were committed, whichever process stored them.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Stores events that no other fact goes with. One whose id is still waiting here is not stored twice.
    async fn add(&self, events: &[Event]) -> Result<()>;

    /// Hands the oldest events to the queue, in order, and forgets them once it has them; answers how many. One relay
    /// works at a time, in all processes: another answers 0.
    async fn relay(&self, queue: &dyn Queue, at_most: usize) -> Result<usize>;

    /// Returns when there may be something to relay; after a second, whether there is or not.
    async fn stirred(&self);
}

/// A consumer's work.
#[async_trait]
pub trait Handler: Send + Sync {
    fn subscription(&self) -> Subscription;
    /// Events that one process deals with at once; with more than one, in no order. At least 1.
    fn at_once(&self) -> usize {
        1
    }
    /// Deals with an event, which may have come before. Returns after its commit. An `Invalid` event can never be
    /// dealt with and is a dead letter at once; any other error is worth another try.
    async fn handle(&self, event: &Event) -> Result<()>;
}
