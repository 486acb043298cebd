//! Events that consumers dealt with, counted.

use std::sync::Arc;

use async_trait::async_trait;
use flow_domain::meters::{Counter, Family, Histogram, Meters, SECONDS, Sample};
use flow_domain::queue::{Event, Handler, Subscription};
use flow_domain::{Kind, Result};
use tokio::time::Instant;

/// A consumer and what became of what it was given.
pub struct CountedHandler {
    handler: Arc<dyn Handler>,
    consumer: String,
    done: Counter,
    again: Counter,
    hopeless: Counter,
    took: Histogram,
}

impl CountedHandler {
    pub fn new(handler: Arc<dyn Handler>) -> Self {
        let consumer = handler.subscription().consumer;
        let (done, again, hopeless) = Default::default();
        Self { handler, consumer, done, again, hopeless, took: Histogram::new(SECONDS) }
    }
}

#[async_trait]
impl Handler for CountedHandler {
    fn subscription(&self) -> Subscription {
        self.handler.subscription()
    }

    async fn handle(&self, event: &Event) -> Result<()> {
        let begun = Instant::now();
        let handled = self.handler.handle(event).await;
        self.took.took(begun.elapsed());
        match &handled {
            Ok(()) => self.done.add(1),
            Err(error) if error.kind == Kind::Invalid => self.hopeless.add(1),
            Err(_) => self.again.add(1),
        }
        handled
    }
}

/// All of them, as one family.
pub struct EventMeters(pub Vec<Arc<CountedHandler>>);

#[async_trait]
impl Meters for EventMeters {
    async fn read(&self) -> Vec<Family> {
        let outcomes = self.0.iter().flat_map(|handler| {
            let ends = [("done", &handler.done), ("retry", &handler.again), ("dead", &handler.hopeless)];
            ends.map(|(outcome, count)| {
                Sample::new([("consumer", handler.consumer.as_str()), ("outcome", outcome)], count.reading())
            })
        });
        let took = self
            .0
            .iter()
            .map(|handler| Sample::new([("consumer", handler.consumer.as_str())], handler.took.reading()));
        vec![
            Family::new(
                "events_handled",
                "Deliveries of events that this process dealt with",
                outcomes.collect(),
            ),
            Family::new("event_duration_seconds", "What one delivery took", took.collect()),
        ]
    }
}
