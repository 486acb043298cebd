use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use flow_domain::UserId;
use flow_domain::rooms::{
    History, Message, PAGE_BYTES, PAGE_MESSAGES, Person, PersonKind, RoomName, RoomStore, Signal, Text,
};
use flow_manager::driven::memory::MemoryRoomStore;
use flow_manager::driven::postgres::pool::session_config;
use flow_manager::driven::postgres::{PgRoomStore, PoolSettings};
use flow_manager::driven::redis::{RedisLink, RedisWire};
use tokio::sync::mpsc;
use tokio::time::timeout;
use uuid::Uuid;

use crate::harness::{TestDb, TestRedis};

const ALL: History = History { messages: 1_000_000, age: Duration::from_secs(24 * 3600) };
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn memory_keeps_the_contract() {
    suite(&MemoryRoomStore::default()).await;
}

#[tokio::test]
async fn postgres_keeps_the_contract() {
    let db = TestDb::new().await;
    db.warm().await;
    let session = session_config(&db.config, &PoolSettings::default());
    suite(&PgRoomStore::new(db.pool.clone(), &session)).await;
}

#[tokio::test]
async fn postgres_and_redis_keep_the_contract() {
    let db = TestDb::new().await;
    db.warm().await;
    let redis = TestRedis::start();
    let link = Arc::new(RedisLink::open(&redis.url()).unwrap());
    let session = session_config(&db.config, &PoolSettings::default());
    let store = PgRoomStore::new(db.pool.clone(), &session);
    suite(&store.with_wire(Arc::new(RedisWire::new(link)))).await;
}

async fn suite(store: &dyn RoomStore) {
    messages_are_numbered_from_one_in_each_room(store).await;
    what_is_posted_is_read_again(store).await;
    posted_at_once_every_number_is_given_once_and_none_appears_late(store).await;
    a_page_is_bounded_and_the_next_goes_on(store).await;
    the_history_ends_by_number_and_by_age(store).await;
    a_deleted_message_leaves_a_gap(store).await;
    pruning_deletes_what_no_longer_shows(store).await;
    leaves_are_told_and_kept_in_order(store).await;
    readers_are_who_the_processes_say(store).await;
    signals_tell_of_messages_and_leaves(store).await;
}

pub fn room(name: &str) -> RoomName {
    RoomName::parse(name).unwrap()
}

pub fn person(name: &str) -> Person {
    Person { id: UserId::new(), name: name.into(), kind: PersonKind::Temporary }
}

async fn post(store: &dyn RoomStore, room: &RoomName, text: &str) -> Message {
    store.post(room, &person("ann"), &Text::parse(text).unwrap()).await.unwrap()
}

async fn texts(store: &dyn RoomStore, room: &RoomName, after: i64, history: History) -> Vec<String> {
    let page = store.after(room, after, history).await.unwrap();
    page.into_iter().map(|message| message.text).collect()
}

async fn head(store: &dyn RoomStore, room: &RoomName) -> Option<i64> {
    store.heads(std::slice::from_ref(room)).await.unwrap().first().map(|(_, head)| *head)
}

async fn messages_are_numbered_from_one_in_each_room(store: &dyn RoomStore) {
    let (one, other) = (room("numbers"), room("Numbers"));
    assert_eq!(head(store, &one).await, None);
    for number in 1..=3 {
        assert_eq!(post(store, &one, "x").await.id, number);
    }
    assert_eq!(post(store, &other, "x").await.id, 1, "another spelling is another room");
    let heads = store.heads(&[one.clone(), room("nobody-here"), other.clone()]).await.unwrap();
    assert_eq!(BTreeSet::from_iter(heads), BTreeSet::from([(one, 3), (other, 1)]));
}

async fn what_is_posted_is_read_again(store: &dyn RoomStore) {
    let room = room("again");
    for kind in PersonKind::ALL {
        let from = Person { kind, ..person("Ann.1-x_y") };
        let posted = store.post(&room, &from, &Text::parse("it's \"so\"; ünï 🎉 \\").unwrap()).await.unwrap();
        assert_eq!((&posted.from, posted.text.as_str()), (&from, "it's \"so\"; ünï 🎉 \\"));
        assert_eq!(store.message(&room, posted.id).await.unwrap().as_ref(), Some(&posted));
        assert_eq!(store.after(&room, posted.id - 1, ALL).await.unwrap(), [posted]);
    }
    assert_eq!(store.message(&room, 99).await.unwrap(), None);
}

/// A reader who goes by the last number it saw must miss nothing, however close the writers are.
async fn posted_at_once_every_number_is_given_once_and_none_appears_late(store: &dyn RoomStore) {
    let rush = room("rush");
    let writers = futures_util::future::join_all((0..8).map(|_| async {
        let mut numbers = Vec::new();
        for _ in 0..25 {
            numbers.push(post(store, &rush, "x").await.id);
        }
        numbers
    }));
    let reader = async {
        let mut seen: Vec<i64> = Vec::new();
        while seen.len() < 200 {
            let page = store.after(&rush, seen.last().copied().unwrap_or(0), ALL).await.unwrap();
            seen.extend(page.iter().map(|message| message.id));
        }
        seen
    };
    let (written, seen) = timeout(PATIENCE, async { tokio::join!(writers, reader) }).await.unwrap();
    let mut written: Vec<i64> = written.into_iter().flatten().collect();
    written.sort();
    assert_eq!(written, (1..=200).collect::<Vec<_>>());
    assert_eq!(seen, written);
}

async fn a_page_is_bounded_and_the_next_goes_on(store: &dyn RoomStore) {
    let (many, large) = (room("many"), room("large"));
    for _ in 0..PAGE_MESSAGES + 1 {
        post(store, &many, "x").await;
    }
    assert_eq!(texts(store, &many, 0, ALL).await.len(), PAGE_MESSAGES);
    assert_eq!(texts(store, &many, PAGE_MESSAGES as i64, ALL).await.len(), 1);
    let text = "🎉".repeat(4000);
    for _ in 0..6 {
        post(store, &large, &text).await;
    }
    assert_eq!(texts(store, &large, 0, ALL).await.len(), PAGE_BYTES / text.len());
    assert_eq!(texts(store, &large, 4, ALL).await.len(), 2);
    assert!(texts(store, &large, i64::MAX, ALL).await.is_empty());
}

async fn the_history_ends_by_number_and_by_age(store: &dyn RoomStore) {
    let room = room("history");
    for text in ["a", "b", "c", "d"] {
        post(store, &room, text).await;
    }
    assert_eq!(texts(store, &room, 0, History { messages: 2, ..ALL }).await, ["c", "d"]);
    assert_eq!(texts(store, &room, 3, History { messages: 2, ..ALL }).await, ["d"]);
    assert!(texts(store, &room, 0, History { age: Duration::ZERO, ..ALL }).await.is_empty());
}

async fn a_deleted_message_leaves_a_gap(store: &dyn RoomStore) {
    let room = room("gap");
    for text in ["a", "b", "c"] {
        post(store, &room, text).await;
    }
    assert!(store.delete(&room, 2).await.unwrap());
    assert!(!store.delete(&room, 2).await.unwrap());
    assert!(store.delete(&room, 3).await.unwrap());
    assert_eq!(texts(store, &room, 0, ALL).await, ["a"]);
    assert_eq!((head(store, &room).await, post(store, &room, "d").await.id), (Some(3), 4));
}

async fn pruning_deletes_what_no_longer_shows(store: &dyn RoomStore) {
    let room = room("prune");
    for text in ["a", "b", "c"] {
        post(store, &room, text).await;
    }
    assert!(store.prune(History { messages: 1, ..ALL }).await.unwrap() >= 2);
    assert_eq!(texts(store, &room, 0, ALL).await, ["c"]);
    assert_eq!(store.prune(History { messages: 1, ..ALL }).await.unwrap(), 0);
    assert_eq!(post(store, &room, "d").await.id, 4);
    assert!(store.prune(History { age: Duration::ZERO, ..ALL }).await.unwrap() >= 2);
    assert!(texts(store, &room, 0, ALL).await.is_empty());
    assert!(post(store, &room, "e").await.id >= 1, "a room that was emptied can be used again");
    assert_eq!(texts(store, &room, 0, ALL).await, ["e"]);
}

async fn leaves_are_told_and_kept_in_order(store: &dyn RoomStore) {
    let before = store.leaves(None).await.unwrap().last().map_or(0, |leave| leave.number);
    let (one, other) = (UserId::new(), UserId::new());
    let first = store.leave(&room("one"), one).await.unwrap();
    let second = store.leave(&room("other"), other).await.unwrap();
    assert_eq!((&first.room, first.user, second.user), (&room("one"), one, other));
    assert_eq!(store.leaves(Some(before)).await.unwrap(), [first.clone(), second.clone()]);
    assert_eq!(store.leaves(Some(first.number)).await.unwrap(), std::slice::from_ref(&second));
    assert_eq!(store.leaves(None).await.unwrap(), std::slice::from_ref(&second));
    post(store, &room("one"), "x").await;
    assert_eq!(store.standing(&room("one")).await.unwrap(), (1, second.number));
    assert_eq!(store.standing(&room("nobody-here")).await.unwrap(), (0, second.number));
}

async fn readers_are_who_the_processes_say(store: &dyn RoomStore) {
    let (here, there, mine) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
    let (ann, ben) = (person("ann"), person("ben"));
    let (one, other) = (room("who.one"), room("who.other"));
    let at = |room: &RoomName, person: &Person| (room.clone(), person.clone());
    assert!(store.report(here, &[at(&one, &ann), at(&other, &ann)], &[]).await.unwrap());
    assert!(store.report(there, &[at(&one, &ben)], &[]).await.unwrap());
    assert!(!store.report(there, &[at(&one, &ben)], &[]).await.unwrap(), "told twice is told once");
    let names = async |room: &RoomName, besides: Uuid| {
        let present = store.present(room, besides).await.unwrap();
        BTreeSet::from_iter(present.into_iter().map(|person| person.name))
    };
    assert_eq!(names(&one, mine).await, BTreeSet::from(["ann".into(), "ben".into()]));
    assert_eq!(names(&one, here).await, BTreeSet::from(["ben".into()]));
    store.report(here, &[], &[(one.clone(), ann.id)]).await.unwrap();
    assert_eq!(names(&one, mine).await, BTreeSet::from(["ben".into()]));
    assert_eq!(names(&other, mine).await, BTreeSet::from(["ann".into()]));
    store.retire(here).await.unwrap();
    assert!(names(&other, mine).await.is_empty());
    assert!(store.report(here, &[], &[]).await.unwrap(), "a retired process is not known");
}

/// Waits for a signal that others may come before. Whoever missed it, as something that listens was not ready yet, is
/// told of a gap.
async fn hear(signals: &mut mpsc::Receiver<Signal>, wanted: &Signal) {
    let heard = |signal: Signal| signal == *wanted || signal == Signal::Anything;
    let wait = async { while !heard(signals.recv().await.expect("signals do not end")) {} };
    timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{wanted:?} is not told"));
}

async fn signals_tell_of_messages_and_leaves(store: &dyn RoomStore) {
    let mut signals = [store.signals(), store.signals()];
    let room = room("signals");
    // One that listens only from now on may have missed what was told before: the first signal is not ours to see.
    let mut number = 0;
    for signals in &mut signals {
        loop {
            number = post(store, &room, "x").await.id;
            if timeout(Duration::from_millis(50), signals.recv()).await.is_ok() {
                break;
            }
        }
    }
    let last = post(store, &room, "x").await.id;
    assert_eq!(last, number + 1);
    let left = store.leave(&room, UserId::new()).await.unwrap();
    for signals in &mut signals {
        hear(signals, &Signal::Posted(room.clone(), last)).await;
        hear(signals, &Signal::Left(left.clone())).await;
    }
}
