use flow_domain::SessionId;
use flow_domain::labs::{LabSessions, StateCopies, StateCopy};
use flow_manager::driven::memory::MemoryStateCopies;
use flow_manager::driven::postgres::{PgLabSessions, PgStateCopies};
use flow_manager::driven::sealing::StateKey;

use super::{lab, stored_learner};
use crate::harness::TestDb;

#[tokio::test]
async fn memory_keeps_the_contract() {
    suite(&MemoryStateCopies::default(), [SessionId::new(), SessionId::new()]).await;
}

#[tokio::test]
async fn postgres_keeps_the_contract() {
    let db = TestDb::new().await;
    db.warm().await;
    let learner = stored_learner(&db).await;
    let sessions = PgLabSessions::new(db.pool.clone());
    let first = sessions.open(learner, &lab("first")).await.unwrap().id;
    let second = sessions.open(learner, &lab("second")).await.unwrap().id;
    let copies = PgStateCopies::new(db.pool.clone(), Some(StateKey::new(&[7; 32])));
    suite(&copies, [first, second]).await;
}

async fn suite(copies: &dyn StateCopies, sessions: [SessionId; 2]) {
    let [session, other] = sessions;
    copies.ready().unwrap();
    the_highest_serial_is_the_latest(copies, session).await;
    a_serial_never_goes_down(copies, session).await;
    a_state_that_grew_under_its_serial_is_the_latest(copies, session).await;
    another_lineage_counts_for_itself(copies, session).await;
    sessions_are_apart(copies, session, other).await;
    any_bytes_come_back_as_they_were(copies, other).await;
}

fn copy(lineage: &str, serial: i64) -> StateCopy {
    StateCopy { lineage: lineage.into(), serial, bytes: format!("{lineage} {serial}").into_bytes() }
}

async fn the_highest_serial_is_the_latest(copies: &dyn StateCopies, session: SessionId) {
    assert_eq!(copies.latest(session).await.unwrap(), None);
    for serial in [1, 2, 10] {
        assert!(copies.keep(session, copy("one", serial)).await.unwrap());
        assert_eq!(copies.latest(session).await.unwrap(), Some(copy("one", serial)));
    }
}

async fn a_serial_never_goes_down(copies: &dyn StateCopies, session: SessionId) {
    for late in [copy("one", 9), copy("one", 3)] {
        assert!(!copies.keep(session, late).await.unwrap());
    }
    assert_eq!(copies.latest(session).await.unwrap(), Some(copy("one", 10)));
}

async fn a_state_that_grew_under_its_serial_is_the_latest(copies: &dyn StateCopies, session: SessionId) {
    let grown = StateCopy { bytes: b"one and two".into(), ..copy("one", 10) };
    assert!(copies.keep(session, grown.clone()).await.unwrap());
    assert_eq!(copies.latest(session).await.unwrap(), Some(grown.clone()));
    assert!(!copies.keep(session, grown).await.unwrap(), "the very same is no other version");
    assert!(copies.keep(session, copy("one", 10)).await.unwrap());
    assert_eq!(copies.latest(session).await.unwrap(), Some(copy("one", 10)), "the newest of equals");
}

async fn another_lineage_counts_for_itself(copies: &dyn StateCopies, session: SessionId) {
    assert!(copies.keep(session, copy("two", 1)).await.unwrap());
    assert_eq!(copies.latest(session).await.unwrap(), Some(copy("one", 10)));
    assert!(copies.keep(session, copy("two", 11)).await.unwrap());
    assert_eq!(copies.latest(session).await.unwrap(), Some(copy("two", 11)));
}

async fn sessions_are_apart(copies: &dyn StateCopies, session: SessionId, other: SessionId) {
    assert_eq!(copies.latest(other).await.unwrap(), None);
    assert!(copies.keep(other, copy("one", 1)).await.unwrap());
    assert_eq!(copies.latest(session).await.unwrap(), Some(copy("two", 11)));
}

async fn any_bytes_come_back_as_they_were(copies: &dyn StateCopies, session: SessionId) {
    for (serial, bytes) in [(2, vec![]), (3, vec![0, 255, 0]), (4, vec![b'x'; 1 << 20])] {
        let kept = StateCopy { bytes, ..copy("one", serial) };
        assert!(copies.keep(session, kept.clone()).await.unwrap());
        assert!(copies.latest(session).await.unwrap() == Some(kept), "serial {serial}");
    }
}
