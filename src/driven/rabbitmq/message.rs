//! Events as messages, and what their headers tell.

use flow_domain::queue::{DeadLetter, Event};
use flow_domain::{Error, EventId, Result, clock};
use jiff::Timestamp;
use lapin::BasicProperties;
use lapin::message::Delivery as Message;
use lapin::options::BasicPublishOptions;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, PublisherConfirm};
use serde_json::json;
use uuid::Uuid;

use super::link::away;
use super::topology::consumer_of;

/// Deliveries before the broker began to count: in waiting queues it begins anew.
const ATTEMPTS: &str = "flow-attempts";
const CONSUMER: &str = "flow-consumer";
const REASON: &str = "flow-reason";
const DIED_AT: &str = "flow-died-at";
/// Times the broker delivered it and got it back.
const BROKERS_COUNT: &str = "x-delivery-count";
/// Kept on disk.
const PERSISTENT: u8 = 2;
/// Of the ids of what is no event.
const NAMESPACE: Uuid = Uuid::from_u128(0x6c0e_2f0a_94b1_4c2b_9d2e_51f1_7f3c_8e02);

/// Which delivery of it this is, from 1.
pub(super) fn attempt(message: &Message) -> u32 {
    attempts_before(message).saturating_add(1)
}

pub(super) fn event(message: &Message) -> Option<Event> {
    serde_json::from_slice(&message.data).ok()
}

/// Publishes a dead letter's body, whatever it is, as if for the first time.
pub(super) async fn revive(
    channel: &Channel,
    queue: ShortString,
    dead: &Message,
) -> Result<PublisherConfirm> {
    let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
    let options = BasicPublishOptions::default();
    channel.basic_publish("".into(), queue, options, &dead.data, properties).await.map_err(away)
}

/// Publishes it with what is to be known of it besides; awaiting the answer awaits the broker's confirmation.
pub(super) async fn publish(
    channel: &Channel,
    exchange: &str,
    key: ShortString,
    event: &Event,
    headers: FieldTable,
) -> Result<PublisherConfirm> {
    let body = serde_json::to_vec(event).map_err(Error::internal)?;
    let properties = BasicProperties::default()
        .with_message_id(event.id.to_string().into())
        .with_content_type("application/json".into())
        .with_delivery_mode(PERSISTENT)
        .with_headers(headers);
    let options = BasicPublishOptions::default();
    channel.basic_publish(exchange.into(), key, options, &body, properties).await.map_err(away)
}

/// Waits until the broker has it safe.
pub(super) async fn confirmed(confirm: PublisherConfirm) -> Result<()> {
    match confirm.await.map_err(away)? {
        confirmation if confirmation.is_ack() => Ok(()),
        _ => Err(away("it refused a message")),
    }
}

/// Of one that waits for its next delivery.
pub(super) fn delivered(times: u32) -> FieldTable {
    let mut headers = FieldTable::default();
    headers.insert(ATTEMPTS.into(), AMQPValue::LongLongInt(times.into()));
    headers
}

/// Of a dead letter.
pub(super) fn buried(consumer: &str, attempts: u32, reason: &str) -> FieldTable {
    let mut headers = delivered(attempts);
    let texts = [(CONSUMER, consumer), (REASON, reason), (DIED_AT, &clock::now().to_string())];
    for (key, text) in texts {
        headers.insert(key.into(), AMQPValue::LongString(text.into()));
    }
    headers
}

pub(super) fn nobody_said(times: u32) -> String {
    format!("delivered {times} times, and nobody said how it went")
}

/// Whose dead letter it is: as it says, or, if the broker gave it up by itself, as its way tells.
pub(super) fn mourner(message: &Message) -> Option<String> {
    let queue = || {
        let AMQPValue::FieldArray(deaths) = header(message, "x-death")? else { return None };
        let AMQPValue::FieldTable(last) = deaths.as_slice().first()? else { return None };
        consumer_of(&words(last.inner().get("queue")?)?).map(str::to_owned)
    };
    header(message, CONSUMER).and_then(words).or_else(queue)
}

/// What is no event was put on the queue by somebody else; it is shown as well as can be.
pub(super) fn dead_letter(message: &Message) -> DeadLetter {
    let attempts = match attempts_of_dead(message) {
        0 => 1,
        attempts => attempts,
    };
    let reason = header(message, REASON).and_then(words);
    let at = header(message, DIED_AT).and_then(words).and_then(|text| text.parse::<Timestamp>().ok());
    let readable = event(message);
    DeadLetter {
        attempts,
        reason: reason.unwrap_or_else(|| match &readable {
            Some(_) => nobody_said(attempts),
            None => "it is no event".to_owned(),
        }),
        at: at.or(readable.as_ref().map(|event| event.at)).unwrap_or_else(clock::now),
        event: readable.unwrap_or_else(|| Event {
            id: EventId(Uuid::new_v5(&NAMESPACE, &message.data)),
            topic: message.routing_key.to_string(),
            key: String::new(),
            data: json!({"text": String::from_utf8_lossy(&message.data)}),
            at: at.unwrap_or_else(clock::now),
        }),
    }
}

/// Looking at a dead letter counts as a delivery for the broker: only what came before its death is meant.
fn attempts_of_dead(message: &Message) -> u32 {
    header(message, ATTEMPTS).and_then(number).unwrap_or(0)
}

fn attempts_before(message: &Message) -> u32 {
    let counted = |key| header(message, key).and_then(number).unwrap_or(0);
    counted(ATTEMPTS).saturating_add(counted(BROKERS_COUNT))
}

fn header<'a>(message: &'a Message, key: &str) -> Option<&'a AMQPValue> {
    message.properties.headers().as_ref()?.inner().get(key)
}

fn words(value: &AMQPValue) -> Option<String> {
    match value {
        AMQPValue::LongString(text) => Some(text.to_string()),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    }
}

fn number(value: &AMQPValue) -> Option<u32> {
    match value {
        AMQPValue::LongLongInt(number) => u32::try_from(*number).ok(),
        AMQPValue::LongInt(number) => u32::try_from(*number).ok(),
        AMQPValue::ShortInt(number) => u32::try_from(*number).ok(),
        AMQPValue::ShortShortInt(number) => u32::try_from(*number).ok(),
        AMQPValue::LongUInt(number) => Some(*number),
        _ => None,
    }
}
