//! Events in PostgreSQL: the outbox beside the facts, a queue for each consumer, and what consumers remember.

pub mod inbox;
mod outbox;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use flow_domain::queue::{DeadLetter, Delivery, Event, GivenBack, Queue, Subscription};
use flow_domain::{Error, EventId, Result};
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_postgres::Row;
use uuid::Uuid;

use super::error;
use super::pool::{PgPool, column, execute, query};

pub use outbox::store;

/// Between two looks for events that another process published; those of this one are told.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long `receive` waits for the first event.
const RECEIVE_WAIT: Duration = Duration::from_secs(5);
/// How long a consumer may take over what it has in hand before another gets it.
const HELD_FOR: Duration = Duration::from_secs(60);

const UNSUBSCRIBE: &str = "
    delete from queue_subscription where consumer = $1::text and topic <> all ($2::text[])";
const SUBSCRIBE: &str = "
    insert into queue_subscription (consumer, topic, delivery_limit)
    select $1::text, topic, $3::integer from unnest($2::text[]) as topic
    on conflict (consumer, topic) do update set delivery_limit = excluded.delivery_limit";
const PUBLISH: &str = "
    insert into queue_message (consumer, event_id, topic, key, data, happened_at, delivery_limit)
    select wanted.consumer, event.id, event.topic, event.key, event.data, event.happened_at, wanted.delivery_limit
    from unnest($1::uuid[], $2::text[], $3::text[], $4::jsonb[], $5::timestamptz[])
        with ordinality as event (id, topic, key, data, happened_at, position)
    join queue_subscription as wanted on wanted.topic = event.topic
    order by event.position
    on conflict (consumer, event_id) do nothing";
const CLAIM: &str = "
    with next as (
        select event_id from queue_message
        where consumer = $1::text and visible_at <= now() and attempts < delivery_limit
        order by seq limit $2::bigint for update skip locked
    )
    update queue_message as message
    set attempts = attempts + 1, visible_at = now() + $3::bigint * interval '1 millisecond'
    from next
    where message.consumer = $1::text and message.event_id = next.event_id
    returning message.seq, message.event_id, message.topic, message.key, message.data, message.happened_at,
        message.attempts";
/// Its consumers died with it in hand, each time.
const SPENT: &str = "
    with spent as (
        delete from queue_message
        where consumer = $1::text and visible_at <= now() and attempts >= delivery_limit
        returning consumer, event_id, topic, key, data, happened_at, delivery_limit, attempts
    )
    insert into dead_letter
        (consumer, event_id, topic, key, data, happened_at, delivery_limit, attempts, reason)
    select consumer, event_id, topic, key, data, happened_at, delivery_limit, attempts,
        'delivered ' || attempts || ' times, and nobody said how it went'
    from spent
    on conflict (consumer, event_id) do update set
        attempts = excluded.attempts, reason = excluded.reason, died_at = excluded.died_at";
const ACK: &str = "
    delete from queue_message
    where consumer = $1::text and event_id = $2::uuid and attempts = $3::integer";
const POSTPONE: &str = "
    update queue_message set visible_at = now() + $4::bigint * interval '1 millisecond'
    where consumer = $1::text and event_id = $2::uuid and attempts = $3::integer and attempts < delivery_limit";
const BURY: &str = "
    with buried as (
        delete from queue_message
        where consumer = $1::text and event_id = $2::uuid and attempts = $3::integer
        returning consumer, event_id, topic, key, data, happened_at, delivery_limit, attempts
    )
    insert into dead_letter
        (consumer, event_id, topic, key, data, happened_at, delivery_limit, attempts, reason)
    select consumer, event_id, topic, key, data, happened_at, delivery_limit, attempts, $4::text
    from buried
    on conflict (consumer, event_id) do update set
        attempts = excluded.attempts, reason = excluded.reason, died_at = excluded.died_at";
const BEREAVED: &str = "select distinct consumer from dead_letter order by consumer";
const DEAD: &str = "
    select event_id, topic, key, data, happened_at, attempts, reason, died_at from dead_letter
    where consumer = $1::text order by died_at, event_id limit $2::bigint";
const REVIVE: &str = "
    with revived as (
        delete from dead_letter where consumer = $1::text and event_id = $2::uuid
        returning consumer, event_id, topic, key, data, happened_at, delivery_limit
    )
    insert into queue_message (consumer, event_id, topic, key, data, happened_at, delivery_limit)
    select consumer, event_id, topic, key, data, happened_at, delivery_limit from revived
    on conflict (consumer, event_id) do update set attempts = 0, visible_at = now()";
const FORGET: &str = "delete from dead_letter where consumer = $1::text and event_id = $2::uuid";

/// Both ports: the outbox, and the queue where no broker is configured. Cheap to clone.
#[derive(Clone)]
pub struct PgQueue {
    pool: PgPool,
    held_for: Duration,
    /// Something was stored in the outbox, or published, by this process.
    stirred: Arc<Notify>,
    published: Arc<Notify>,
}

impl PgQueue {
    pub fn new(pool: PgPool) -> Self {
        Self { pool, held_for: HELD_FOR, stirred: Arc::default(), published: Arc::default() }
    }

    /// With another time after which what a consumer has in hand is given to another.
    pub fn held_for(self, held_for: Duration) -> Self {
        Self { held_for, ..self }
    }

    async fn claim(&self, consumer: &str, at_most: usize) -> Result<Vec<Delivery>> {
        let rows = self.pool.query(CLAIM, &[&consumer, &count(at_most), &millis(self.held_for)]).await?;
        let mut deliveries = rows.iter().map(delivery).collect::<Result<Vec<_>>>()?;
        deliveries.sort_by_key(|(seq, _)| *seq);
        if deliveries.is_empty() {
            self.pool.execute(SPENT, &[&consumer]).await?;
        }
        Ok(deliveries.into_iter().map(|(_, delivery)| delivery).collect())
    }
}

#[async_trait]
impl Queue for PgQueue {
    async fn declare(&self, subscription: &Subscription) -> Result<()> {
        let Subscription { consumer, topics, delivery_limit } = subscription;
        let limit = i32::try_from(*delivery_limit).unwrap_or(i32::MAX);
        let mut client = self.pool.client().await?;
        let transaction = client.transaction().await.map_err(error::from)?;
        execute(&transaction, UNSUBSCRIBE, &[consumer, topics]).await?;
        execute(&transaction, SUBSCRIBE, &[consumer, topics, &limit]).await?;
        transaction.commit().await.map_err(error::from)
    }

    async fn publish(&self, events: &[Event]) -> Result<()> {
        let ids: Vec<Uuid> = events.iter().map(|event| event.id.0).collect();
        let topics: Vec<&str> = events.iter().map(|event| &*event.topic).collect();
        let keys: Vec<&str> = events.iter().map(|event| &*event.key).collect();
        let data: Vec<&Value> = events.iter().map(|event| &event.data).collect();
        let times: Vec<Timestamp> = events.iter().map(|event| event.at).collect();
        self.pool.execute(PUBLISH, &[&ids, &topics, &keys, &data, &times]).await?;
        self.published.notify_waiters();
        Ok(())
    }

    async fn receive(&self, consumer: &str, at_most: usize) -> Result<Vec<Delivery>> {
        let deadline = Instant::now() + RECEIVE_WAIT;
        loop {
            // Heard from here on, so that what is published during the look is not missed.
            let published = self.published.notified();
            let deliveries = self.claim(consumer, at_most).await?;
            if !deliveries.is_empty() || Instant::now() >= deadline {
                return Ok(deliveries);
            }
            let _ = tokio::time::timeout(LOOK_EVERY, published).await;
        }
    }

    async fn ack(&self, consumer: &str, delivery: &Delivery) -> Result<()> {
        self.pool.execute(ACK, &[&consumer, &delivery.event.id.0, &receipt(delivery)]).await.map(drop)
    }

    async fn give_back(
        &self,
        consumer: &str,
        delivery: &Delivery,
        reason: &str,
        after: Duration,
    ) -> Result<GivenBack> {
        let (id, receipt) = (delivery.event.id.0, receipt(delivery));
        let client = self.pool.client().await?;
        if execute(&client, POSTPONE, &[&consumer, &id, &receipt, &millis(after)]).await? == 1 {
            return Ok(GivenBack::Again);
        }
        match execute(&client, BURY, &[&consumer, &id, &receipt, &clean(reason)]).await? {
            0 => Ok(GivenBack::Late),
            _ => Ok(GivenBack::Dead),
        }
    }

    async fn bury(&self, consumer: &str, delivery: &Delivery, reason: &str) -> Result<()> {
        let params: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
            [&consumer, &delivery.event.id.0, &receipt(delivery), &clean(reason)];
        self.pool.execute(BURY, &params).await.map(drop)
    }

    async fn bereaved(&self) -> Result<Vec<String>> {
        self.pool.query(BEREAVED, &[]).await?.iter().map(|row| column(row, "consumer")).collect()
    }

    async fn dead(&self, consumer: &str, at_most: usize) -> Result<Vec<DeadLetter>> {
        query(&self.pool.client().await?, DEAD, &[&consumer, &count(at_most)])
            .await?
            .iter()
            .map(|row| {
                Ok(DeadLetter {
                    event: event(row, "event_id")?,
                    attempts: attempts(row)?,
                    reason: column(row, "reason")?,
                    at: column(row, "died_at")?,
                })
            })
            .collect()
    }

    async fn revive(&self, consumer: &str, event: EventId) -> Result<bool> {
        let revived = self.pool.execute(REVIVE, &[&consumer, &event.0]).await?;
        self.published.notify_waiters();
        Ok(revived == 1)
    }

    async fn forget(&self, consumer: &str, event: EventId) -> Result<bool> {
        Ok(self.pool.execute(FORGET, &[&consumer, &event.0]).await? == 1)
    }

    async fn ping(&self) -> Result<()> {
        self.pool.ping().await
    }
}

fn delivery(row: &Row) -> Result<(i64, Delivery)> {
    let attempt = attempts(row)?;
    let event = event(row, "event_id")?;
    // Each delivery raises it, so it tells this one from any other.
    Ok((column(row, "seq")?, Delivery { event, attempt, receipt: attempt.into() }))
}

fn event(row: &Row, id: &str) -> Result<Event> {
    Ok(Event {
        id: EventId(column(row, id)?),
        topic: column(row, "topic")?,
        key: column(row, "key")?,
        data: column(row, "data")?,
        at: column(row, "happened_at")?,
    })
}

fn attempts(row: &Row) -> Result<u32> {
    u32::try_from(column::<i32>(row, "attempts")?).map_err(Error::internal)
}

/// One that is no receipt of ours fits no row.
fn receipt(delivery: &Delivery) -> i32 {
    i32::try_from(delivery.receipt).unwrap_or(-1)
}

/// PostgreSQL refuses the NUL character, and a reason may repeat anything.
fn clean(reason: &str) -> String {
    reason.replace('\0', "\u{fffd}")
}

fn count(at_most: usize) -> i64 {
    i64::try_from(at_most).unwrap_or(i64::MAX)
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
