//! What there is on the broker. Every name begins with `flow.`; installations that share a broker take a vhost each.
//!
//! Events go to one direct exchange by their topic and from there to a quorum queue for each consumer. What a consumer
//! gave back waits in a queue whose messages expire into the consumer's own. Dead letters of all consumers are in one
//! queue. Hints of runs go straight to the queue of their label.

use std::time::Duration;

use flow_domain::queue::Subscription;
use flow_domain::{Error, Result};
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, Connection, ErrorKind, ExchangeKind};

use super::link::away;

pub(super) const EVENTS: &str = "flow.events";
pub(super) const DEAD: &str = "flow.dead";
const CONSUMER: &str = "flow.to.";

/// AMQP's reply to a declaration that differs from what is there.
const PRECONDITION_FAILED: u16 = 406;
/// Hints are forgotten after this: by then a poll has found the run.
const HINT_TTL_MS: i64 = 60_000;
const MOST_HINTS: i64 = 100_000;
/// More than any number of looks at a dead letter: none is ever dropped for having been looked at.
const ENDLESS: i64 = 1_000_000_000;

/// A name on the broker, which holds 255 bytes.
pub(super) fn name(text: impl Into<String>) -> Result<ShortString> {
    let long = |_| Error::invalid("queue.name_too_long", "A name on the queue holds 255 bytes.", vec![]);
    ShortString::try_new(text).map_err(long)
}

pub(super) fn queue_of(consumer: &str) -> Result<ShortString> {
    name(format!("{CONSUMER}{consumer}"))
}

pub(super) fn consumer_of(queue: &str) -> Option<&str> {
    queue.strip_prefix(CONSUMER)
}

/// Where hints of runs go that need this label, or none.
pub(super) fn runs_queue(label: Option<&str>) -> Result<ShortString> {
    name(label.map_or("flow.runs".to_owned(), |label| format!("flow.runs.{label}")))
}

/// What is there whoever consumes.
pub(super) async fn ground(channel: &Channel) -> Result<()> {
    let durable = ExchangeDeclareOptions { durable: true, ..Default::default() };
    let none = FieldTable::default();
    channel.exchange_declare(EVENTS.into(), ExchangeKind::Direct, durable, none).await.map_err(away)?;
    let limit = ("x-delivery-limit", AMQPValue::LongLongInt(ENDLESS));
    quorum_queue(channel, DEAD.into(), [limit]).await.map_err(away)
}

/// A consumer's queue with its topics. One that is there with another limit keeps it, as the broker changes none: the
/// adapter counts deliveries itself, and the broker's limit is for consumers that die before they can.
pub(super) async fn declare(connection: &Connection, subscription: &Subscription) -> Result<()> {
    let queue = queue_of(&subscription.consumer)?;
    let limit = ("x-delivery-limit", AMQPValue::LongLongInt(subscription.delivery_limit.into()));
    let [to, key, ..] = dead_lettered_to(DEAD);
    let mut channel = connection.create_channel().await.map_err(away)?;
    match quorum_queue(&channel, queue.clone(), [limit, to, key]).await {
        Ok(()) => {}
        // The broker closes the channel with it.
        Err(error) if is_other(&error) => channel = connection.create_channel().await.map_err(away)?,
        Err(error) => return Err(away(error)),
    }
    for topic in &subscription.topics {
        let (topic, options) = (name(topic)?, QueueBindOptions::default());
        let bound = channel.queue_bind(queue.clone(), EVENTS.into(), topic, options, FieldTable::default());
        bound.await.map_err(away)?;
    }
    channel.close(200, "declared".into()).await.map_err(away)
}

/// The queue in which a consumer's messages wait at least so long: a power of two in seconds, so that there are few.
pub(super) async fn waiting_queue(channel: &Channel, consumer: &str, time: Duration) -> Result<ShortString> {
    let seconds = time.as_secs_f64().ceil().clamp(1.0, 1e6) as u64;
    let seconds = seconds.next_power_of_two();
    let queue = name(format!("flow.wait.{seconds}s.{consumer}"))?;
    let time = ("x-message-ttl", AMQPValue::LongLongInt(seconds as i64 * 1000));
    let limit = ("x-delivery-limit", AMQPValue::LongLongInt(ENDLESS));
    let home = queue_of(consumer)?;
    let [to, key, strategy, full] = dead_lettered_to(home.as_str());
    quorum_queue(channel, queue.clone(), [time, limit, to, key, strategy, full]).await.map_err(away)?;
    Ok(queue)
}

pub(super) async fn hints(channel: &Channel, label: Option<&str>) -> Result<ShortString> {
    let queue = runs_queue(label)?;
    let time = ("x-message-ttl", AMQPValue::LongLongInt(HINT_TTL_MS));
    let most = ("x-max-length", AMQPValue::LongLongInt(MOST_HINTS));
    quorum_queue(channel, queue.clone(), [time, most]).await.map_err(away)?;
    Ok(queue)
}

/// At least once, for which the broker asks that a full queue refuses rather than drops.
fn dead_lettered_to(queue: &str) -> [(&'static str, AMQPValue); 4] {
    [
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text(queue)),
        ("x-dead-letter-strategy", text("at-least-once")),
        ("x-overflow", text("reject-publish")),
    ]
}

async fn quorum_queue<const N: usize>(
    channel: &Channel,
    queue: ShortString,
    more: [(&'static str, AMQPValue); N],
) -> lapin::Result<()> {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    for (key, value) in more {
        arguments.insert(key.into(), value);
    }
    let durable = QueueDeclareOptions { durable: true, ..Default::default() };
    channel.queue_declare(queue, durable, arguments).await.map(drop)
}

fn is_other(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(error) if error.get_id() == PRECONDITION_FAILED)
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}
