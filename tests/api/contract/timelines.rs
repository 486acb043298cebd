use flow_domain::SessionId;
use flow_domain::labs::{Entry, LabSessions, Taken, TimelineStore};
use flow_manager::driven::memory::MemoryTimelines;
use flow_manager::driven::postgres::{PgLabSessions, PgTimelines};
use serde_json::json;

use super::{lab, stored_learner};
use crate::harness::TestDb;

#[tokio::test]
async fn memory_keeps_the_contract() {
    suite(&MemoryTimelines::default(), SessionId::new()).await;
}

#[tokio::test]
async fn postgres_keeps_the_contract() {
    let db = TestDb::new().await;
    db.warm().await;
    let learner = stored_learner(&db).await;
    let session = PgLabSessions::new(db.pool.clone()).open(learner, &lab("timeline")).await.unwrap();
    suite(&PgTimelines::new(db.pool.clone()), session.id).await;
}

/// All that is new, as it would be kept.
async fn taken(store: &dyn TimelineStore, session: SessionId, limit: usize) -> Taken {
    let fresh = store.fresh(session, limit).await.unwrap();
    let entries = fresh.notes.0.into_iter().map(|note| Entry {
        number: 0,
        kind: note.kind,
        at: note.at,
        run: None,
        step: None,
        data: note.data,
    });
    let (version, notes, messages) = (fresh.version, fresh.notes.1, fresh.messages.1);
    Taken { version, notes, messages, runs: vec![], entries: entries.collect() }
}

async fn suite(store: &dyn TimelineStore, session: SessionId) {
    // What opening a session noted by itself is out of the way.
    let before = taken(store, session, 100).await;
    assert!(store.take(session, &before).await.unwrap());
    let start = i64::try_from(before.entries.len()).unwrap();

    for number in 0..3 {
        store.note(session, "said", None, json!({"number": number})).await.unwrap();
    }
    store.note(session, "once", Some("key"), json!({})).await.unwrap();
    store.note(session, "once", Some("key"), json!({"again": true})).await.unwrap();

    let first = taken(store, session, 2).await;
    assert_eq!(first.entries.len(), 2, "no more than was asked for");
    let same = taken(store, session, 2).await;
    assert!(store.take(session, &first).await.unwrap());
    assert!(!store.take(session, &same).await.unwrap(), "what another took is not taken again");
    let second = taken(store, session, 100).await;
    let kinds: Vec<_> = second.entries.iter().map(|entry| entry.kind.as_str()).collect();
    assert_eq!(kinds, ["said", "once"]);
    assert!(store.take(session, &second).await.unwrap());
    assert_eq!(taken(store, session, 100).await.entries, []);

    let entries = store.entries(session, start, 100).await.unwrap();
    let numbers: Vec<_> = entries.iter().map(|entry| entry.number).collect();
    assert_eq!(numbers, [start + 1, start + 2, start + 3, start + 4]);
    assert_eq!((&entries[2].data, &entries[3].data), (&json!({"number": 2}), &json!({})));
    assert_eq!(store.entries(session, start + 1, 2).await.unwrap(), entries[1..3]);
    assert_eq!(store.entries(session, start + 4, 100).await.unwrap(), []);

    // Many at once: each note is there once, in one order.
    let notes = (0..8).map(|number| store.note(session, "race", None, json!(number)));
    futures_util::future::join_all(notes).await.into_iter().for_each(|noted| noted.unwrap());
    assert_eq!(taken(store, session, 100).await.entries.len(), 8);
}
