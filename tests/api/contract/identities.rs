use std::sync::Arc;

use flow_domain::openid::{Identities, OAuthTokens, Profile, Subject, USER_CREATED, UserCreated};
use flow_domain::queue::{Event, Outbox, Queue, Subscription};
use flow_domain::users::{Account, Role, User, Users};
use flow_domain::{EventId, UserId};
use flow_manager::driven::memory::{MemoryIdentities, MemoryQueue, MemoryUsers};
use flow_manager::driven::postgres::{PgIdentities, PgQueue, PgUsers};
use flow_manager::driven::sealing::{Keyring, StateKey};

use crate::harness::TestDb;

const CONSUMER: &str = "the-contract";

/// The port, and what it stands on.
struct Parts<'a, Q> {
    identities: &'a dyn Identities,
    users: &'a dyn Users,
    queue: &'a Q,
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    let users = Arc::new(MemoryUsers::default());
    let queue = Arc::new(MemoryQueue::new(std::time::Duration::from_secs(600)));
    let identities = MemoryIdentities::new(users.clone(), queue.clone());
    suite(Parts { identities: &identities, users: &*users, queue: &*queue }).await;
}

#[tokio::test]
async fn postgres_keeps_the_contract() {
    let db = TestDb::new().await;
    db.warm().await;
    let keys = Keyring { current: Some(StateKey::new(&[7; 32])), old: None };
    let identities = PgIdentities::new(db.pool.clone(), Arc::new(keys));
    let (users, queue) = (PgUsers::new(db.pool.clone()), PgQueue::new(db.pool.clone()));
    suite(Parts { identities: &identities, users: &users, queue: &queue }).await;
}

async fn suite<Q: Queue + Outbox>(parts: Parts<'_, Q>) {
    let mine =
        Subscription { consumer: CONSUMER.into(), topics: vec![USER_CREATED.into()], delivery_limit: 3 };
    parts.queue.declare(&mine).await.unwrap();
    who_is_new_gets_an_account_and_one_event(&parts).await;
    one_of_many_at_once_makes_it(&parts).await;
    an_address_is_left_to_whom_it_belongs(&parts).await;
    an_event_is_stored_once_for_each_consumer(&parts).await;
    tokens_are_kept_in_the_place_of_those_before(&parts).await;
}

fn profile(subject: &str) -> Profile {
    Profile {
        subject: Subject { issuer: "https://id.example.org".into(), subject: subject.into() },
        email: Some(format!("{subject}@example.org")),
        email_verified: true,
        name: Some(format!("Name of {subject}")),
    }
}

fn created(subject: &str) -> UserCreated {
    let profile = profile(subject);
    UserCreated { user: profile.user(), identity: Some(profile.subject) }
}

/// The events that were published since the last look.
async fn published<Q: Queue + Outbox>(parts: &Parts<'_, Q>) -> Vec<Event> {
    while parts.queue.relay(parts.queue, 100).await.unwrap() > 0 {}
    let mut events = Vec::new();
    for delivery in parts.queue.receive(CONSUMER, 100).await.unwrap() {
        parts.queue.ack(CONSUMER, &delivery).await.unwrap();
        events.push(delivery.event);
    }
    events
}

async fn who_is_new_gets_an_account_and_one_event<Q: Queue + Outbox>(parts: &Parts<'_, Q>) {
    let ada = profile("ada");
    let first = parts.identities.admit(&ada).await.unwrap();
    assert!(first.made);
    assert_eq!((&first.account.user, first.account.disabled), (&ada.user(), false));
    let events = published(parts).await;
    assert_eq!(events.len(), 1);
    assert_eq!((&*events[0].topic, events[0].id), (USER_CREATED, created("ada").event().unwrap().id));
    assert_eq!(events[0].data, created("ada").event().unwrap().data);
    // What the provider says later changes nothing, and tells nobody.
    let renamed = Profile { name: Some("Another".into()), email: None, ..ada.clone() };
    let second = parts.identities.admit(&renamed).await.unwrap();
    assert_eq!((second.made, second.account.user), (false, ada.user()));
    assert_eq!(published(parts).await, []);
}

async fn one_of_many_at_once_makes_it<Q: Queue + Outbox>(parts: &Parts<'_, Q>) {
    let rush = profile("rush");
    let all = futures_util::future::join_all((0..8).map(|_| parts.identities.admit(&rush))).await;
    let made = all.iter().filter(|admitted| admitted.as_ref().unwrap().made).count();
    assert_eq!((made, published(parts).await.len()), (1, 1));
}

async fn an_address_is_left_to_whom_it_belongs<Q: Queue + Outbox>(parts: &Parts<'_, Q>) {
    let owner = User {
        id: UserId::new(),
        email: Some("Eve@example.org".into()),
        username: None,
        name: None,
        role: Role::Learner,
    };
    assert!(parts.users.add(&Account::new(owner.clone())).await.unwrap());
    let admitted = parts.identities.admit(&profile("eve")).await.unwrap();
    assert!(admitted.made);
    assert_eq!((admitted.account.user.email, admitted.account.user.id), (None, profile("eve").user().id));
    assert_eq!(parts.users.by_email("eve@example.org").await.unwrap().unwrap().user.id, owner.id);
    published(parts).await;
}

async fn an_event_is_stored_once_for_each_consumer<Q: Queue + Outbox>(parts: &Parts<'_, Q>) {
    let (bob, event) = (created("bob"), EventId::new());
    assert!(parts.identities.store(&bob, "one", event).await.unwrap());
    assert_eq!(parts.users.by_id(bob.user.id).await.unwrap().unwrap().user, bob.user);
    for (consumer, event) in [("one", event), ("two", event), ("one", EventId::new())] {
        assert!(!parts.identities.store(&bob, consumer, event).await.unwrap());
    }
    // It came from an event, so there is none to tell.
    assert_eq!(published(parts).await, []);
    assert!(!parts.identities.admit(&profile("bob")).await.unwrap().made);
}

async fn tokens_are_kept_in_the_place_of_those_before<Q: Queue + Outbox>(parts: &Parts<'_, Q>) {
    let user = parts.identities.admit(&profile("kay")).await.unwrap().account.user.id;
    assert!(parts.identities.tokens(user).await.unwrap().is_none());
    for (access_token, refresh_token) in [("one", Some("r".to_owned())), ("two", None)] {
        let tokens =
            OAuthTokens { access_token: access_token.into(), refresh_token, expires_in_s: Some(3600) };
        parts.identities.keep_tokens(user, &tokens).await.unwrap();
        assert!(parts.identities.tokens(user).await.unwrap() == Some(tokens));
    }
    assert!(parts.identities.tokens(UserId::new()).await.unwrap().is_none());
}
