//! The moments between a commit and its acknowledgement, one by one, over RabbitMQ.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use flow_domain::cache::Cache;
use flow_domain::queue::{DeadLetter, Delivery, Event, GivenBack, Handler, Outbox, Queue, Subscription};
use flow_domain::{Error, EventId, Result};
use flow_manager::driven::cache::MokaCache;
use flow_manager::driven::postgres::PgQueue;
use flow_manager::driven::rabbitmq::RabbitQueue;
use flow_manager::driver::events::{Lines, run};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::PATIENCE;
use crate::harness::{TestDb, broker};
use crate::openid::created::{consumer, count, created};

fn subscription() -> Subscription {
    Subscription { consumer: "c".into(), topics: vec!["t".into()], delivery_limit: 5 }
}

async fn next(queue: &RabbitQueue, consumer: &str) -> Delivery {
    let looking = async {
        loop {
            if let Some(delivery) = queue.receive(consumer, 1).await.unwrap().pop() {
                return delivery;
            }
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.expect("nothing comes")
}

/// Publishes, and dies before the broker's confirmation is heard.
struct Unconfirmed<'a>(&'a RabbitQueue);

#[async_trait]
impl Queue for Unconfirmed<'_> {
    async fn publish(&self, events: &[Event]) -> Result<()> {
        self.0.publish(events).await?;
        Err(Error::unavailable("queue.unavailable", "The confirmation was not heard."))
    }
    async fn declare(&self, _: &Subscription) -> Result<()> {
        unreachable!()
    }
    async fn receive(&self, _: &str, _: usize) -> Result<Vec<Delivery>> {
        unreachable!()
    }
    async fn ack(&self, _: &str, _: &Delivery) -> Result<()> {
        unreachable!()
    }
    async fn give_back(&self, _: &str, _: &Delivery, _: &str, _: Duration) -> Result<GivenBack> {
        unreachable!()
    }
    async fn bury(&self, _: &str, _: &Delivery, _: &str) -> Result<()> {
        unreachable!()
    }
    async fn bereaved(&self) -> Result<Vec<String>> {
        unreachable!()
    }
    async fn dead(&self, _: &str, _: usize) -> Result<Vec<DeadLetter>> {
        unreachable!()
    }
    async fn revive(&self, _: &str, _: EventId) -> Result<bool> {
        unreachable!()
    }
    async fn forget(&self, _: &str, _: EventId) -> Result<bool> {
        unreachable!()
    }
    async fn ping(&self) -> Result<()> {
        unreachable!()
    }
}

#[tokio::test]
async fn what_was_published_and_not_confirmed_is_published_again_in_order() {
    let (db, url) = (TestDb::new().await, broker().await.vhost().await);
    let (queue, outbox) = (RabbitQueue::new(&url).unwrap(), PgQueue::new(db.pool.clone()));
    queue.declare(&subscription()).await.unwrap();
    let events: Vec<Event> = (0..3).map(|n| Event::new("t", "k", json!({"n": n}))).collect();
    outbox.add(&events).await.unwrap();
    assert!(outbox.relay(&Unconfirmed(&queue), 10).await.is_err());
    assert_eq!(count(&db, "select count(*) from outbox_event").await, 3, "none is forgotten");
    assert_eq!(outbox.relay(&queue, 10).await.unwrap(), 3);
    let mut first_heard: Vec<EventId> = Vec::new();
    for _ in 0..6 {
        let delivery = next(&queue, "c").await;
        queue.ack("c", &delivery).await.unwrap();
        if !first_heard.contains(&delivery.event.id) {
            first_heard.push(delivery.event.id);
        }
    }
    assert_eq!(first_heard, events.iter().map(|event| event.id).collect::<Vec<_>>());
}

/// Its process dies: the broker sees the connection end and needs no time to run out.
#[tokio::test]
async fn what_a_dead_consumer_had_in_hand_comes_again_at_once() {
    let url = broker().await.vhost().await;
    let (dying, living) = (RabbitQueue::new(&url).unwrap(), RabbitQueue::new(&url).unwrap());
    dying.declare(&subscription()).await.unwrap();
    let sent = Event::new("t", "k", json!({}));
    dying.publish(std::slice::from_ref(&sent)).await.unwrap();
    assert_eq!(next(&dying, "c").await.attempt, 1);
    drop(dying);
    living.declare(&subscription()).await.unwrap();
    let delivery = next(&living, "c").await;
    assert_eq!((delivery.attempt, delivery.event), (2, sent));
}

#[tokio::test]
async fn ten_copies_and_two_consumers_at_once_store_one_user() {
    let (db, url) = (TestDb::new().await, broker().await.vhost().await);
    db.warm().await;
    let handlers =
        || -> Vec<Arc<dyn Handler>> { vec![Arc::new(consumer(&db, Arc::new(MokaCache::default())))] };
    let lines = || Lines {
        queue: Arc::new(RabbitQueue::new(&url).unwrap()),
        outbox: Arc::new(PgQueue::new(db.pool.clone())),
    };
    let (first, second) = (lines(), lines());
    let name = handlers()[0].subscription().consumer;
    first.queue.declare(&handlers()[0].subscription()).await.unwrap();
    let original = created("ada").event().unwrap();
    // Ten with ids of their own: the id of the event does not help here; and ten that are one.
    let mut copies: Vec<Event> = (0..10).map(|_| original.clone().with_id(EventId::new())).collect();
    copies.extend(std::iter::repeat_n(original, 10));
    // So that the end is seen: one that is no user is a dead letter after all others.
    copies.push(Event::new("user.created", "last", json!({"user": 1})));
    first.queue.publish(&copies).await.unwrap();
    let stop = CancellationToken::new();
    let consumers = [first.clone(), second].map(|lines| tokio::spawn(run(lines, handlers(), stop.clone())));
    super::until(async || !first.queue.dead(&name, 9).await.unwrap().is_empty()).await;
    super::until(async || count(&db, "select count(*) from app_user").await == 1).await;
    stop.cancel();
    for consumer in consumers {
        consumer.await.unwrap();
    }
    assert_eq!(count(&db, "select count(*) from app_user").await, 1);
    assert_eq!(count(&db, "select count(*) from identity").await, 1);
    assert_eq!(first.queue.dead(&name, 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_crash_between_the_insert_and_the_acknowledgement_stores_one_user() {
    let (db, url) = (TestDb::new().await, broker().await.vhost().await);
    let cache = || -> Arc<dyn Cache> { Arc::new(MokaCache::default()) };
    let subscription = consumer(&db, cache()).subscription();
    let name = &subscription.consumer;
    let first = RabbitQueue::new(&url).unwrap();
    first.declare(&subscription).await.unwrap();
    first.publish(&[created("ada").event().unwrap()]).await.unwrap();
    let delivery = next(&first, name).await;
    consumer(&db, cache()).handle(&delivery.event).await.unwrap();
    assert_eq!(count(&db, "select count(*) from app_user").await, 1);
    drop(first);
    let second = RabbitQueue::new(&url).unwrap();
    second.declare(&subscription).await.unwrap();
    let again = next(&second, name).await;
    assert_eq!((again.attempt, again.event.id), (2, delivery.event.id));
    consumer(&db, cache()).handle(&again.event).await.unwrap();
    second.ack(name, &again).await.unwrap();
    assert_eq!(count(&db, "select count(*) from app_user").await, 1);
    assert_eq!(count(&db, "select count(*) from inbox_event").await, 1);
}
