//! The consumer of `user.created`: one user, however the event comes.

use std::sync::Arc;
use std::time::Duration;

use flow_domain::EventId;
use flow_domain::cache::Cache;
use flow_domain::openid::{Profile, StoreUser, Subject, UserCreated};
use flow_domain::queue::{Event, Handler, Queue};
use flow_domain::users::{Role, Users};
use flow_manager::driven::cache::MokaCache;
use flow_manager::driven::postgres::{PgIdentities, PgQueue, PgUsers};
use flow_manager::driven::sealing::Keyring;
use flow_manager::driver::events::{Lines, run};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::harness::TestDb;

pub fn created(subject: &str) -> UserCreated {
    let subject = Subject { issuer: "https://id.example.org".into(), subject: subject.into() };
    let profile = Profile {
        subject: subject.clone(),
        email: Some(format!("{}@example.org", subject.subject)),
        email_verified: true,
        name: None,
    };
    UserCreated { user: profile.user(), identity: Some(subject) }
}

pub fn consumer(db: &TestDb, cache: Arc<dyn Cache>) -> StoreUser {
    let identities = Arc::new(PgIdentities::new(db.pool.clone(), Arc::new(Keyring::default())));
    StoreUser { identities, users: Arc::new(PgUsers::new(db.pool.clone())), cache }
}

pub async fn count(db: &TestDb, sql: &str) -> i64 {
    db.pool.client().await.unwrap().query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn ten_copies_and_two_consumers_at_once_store_one_user() {
    let db = TestDb::new().await;
    db.warm().await;
    let queue = Arc::new(PgQueue::new(db.pool.clone()));
    let handlers =
        || -> Vec<Arc<dyn Handler>> { vec![Arc::new(consumer(&db, Arc::new(MokaCache::default())))] };
    queue.declare(&handlers()[0].subscription()).await.unwrap();
    let original = created("ada").event().unwrap();
    // Ten with ids of their own: the id of the event does not help here.
    let copies: Vec<Event> = (0..10).map(|_| original.clone().with_id(EventId::new())).collect();
    queue.publish(&copies).await.unwrap();
    let stop = CancellationToken::new();
    let lines = Lines { queue: queue.clone(), outbox: queue.clone() };
    let consumers = [0, 1].map(|_| tokio::spawn(run(lines.clone(), handlers(), stop.clone())));
    while count(&db, "select count(*) from queue_message").await > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop.cancel();
    for consumer in consumers {
        consumer.await.unwrap();
    }
    assert_eq!(count(&db, "select count(*) from app_user").await, 1);
    assert_eq!(count(&db, "select count(*) from identity").await, 1);
    assert_eq!(count(&db, "select count(*) from dead_letter").await, 0);
    // The user came from the event: storing it tells nobody again.
    assert_eq!(count(&db, "select count(*) from outbox_event").await, 0);
}

#[tokio::test]
async fn a_crash_between_the_insert_and_the_acknowledgement_stores_one_user() {
    let db = TestDb::new().await;
    let queue = PgQueue::new(db.pool.clone()).held_for(Duration::from_millis(20));
    let first = consumer(&db, Arc::new(MokaCache::default()));
    let name = first.subscription().consumer;
    queue.declare(&first.subscription()).await.unwrap();
    queue.publish(&[created("ada").event().unwrap()]).await.unwrap();
    let mut attempts = vec![];
    while attempts.len() < 2 {
        for delivery in queue.receive(&name, 1).await.unwrap() {
            // Another process each time, with an empty cache; the first dies before it acknowledges.
            consumer(&db, Arc::new(MokaCache::default())).handle(&delivery.event).await.unwrap();
            if !attempts.is_empty() {
                queue.ack(&name, &delivery).await.unwrap();
            }
            attempts.push(delivery.attempt);
        }
    }
    assert_eq!(attempts, [1, 2]);
    assert_eq!(count(&db, "select count(*) from app_user").await, 1);
    assert_eq!(count(&db, "select count(*) from inbox_event").await, 1);
}

#[tokio::test]
async fn an_event_that_nobody_vouches_for_makes_no_account() {
    let db = TestDb::new().await;
    let consumer = consumer(&db, Arc::new(MokaCache::default()));
    let good = created("ada");
    let mut admin = good.clone();
    admin.user.role = Role::Admin;
    let another = UserCreated { identity: created("bob").identity, ..good.clone() };
    let unvouched = UserCreated { identity: None, ..good.clone() };
    for bad in [admin, another, unvouched] {
        let error = consumer.handle(&bad.event().unwrap()).await.unwrap_err();
        assert_eq!(error.code, "event.unfounded");
    }
    let unreadable = Event::new("user.created", "k", json!({"user": 1}));
    assert_eq!(consumer.handle(&unreadable).await.unwrap_err().code, "event.unreadable");
    assert_eq!(count(&db, "select count(*) from app_user").await, 0);
    let users = PgUsers::new(db.pool.clone());
    consumer.handle(&good.event().unwrap()).await.unwrap();
    assert!(users.by_id(good.user.id).await.unwrap().is_some());
}
