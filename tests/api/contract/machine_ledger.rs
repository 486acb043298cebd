use std::sync::Arc;

use flow_domain::labs::machines::{Found, Ledger, OrphanKind};
use flow_domain::labs::{LabSessions, SessionStatus};
use flow_domain::{SessionId, UserId};
use flow_manager::driven::memory::{MemoryLabSessions, MemoryLedger};
use flow_manager::driven::postgres::{PgLabSessions, PgLedger};
use uuid::Uuid;

use super::{code, lab, stored_learner};
use crate::harness::TestDb;

/// Four ids.
fn machines() -> (String, u32, u32) {
    ("labs".to_owned(), 700, 703)
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    let sessions = Arc::new(MemoryLabSessions::default());
    let ledger = MemoryLedger::new(sessions.clone(), machines());
    suite(&ledger, &Learner { sessions: &*sessions, id: UserId::new() }).await;
}

#[tokio::test]
async fn postgres_keeps_the_contract() {
    let db = TestDb::new().await;
    db.warm().await;
    let id = stored_learner(&db).await;
    let sessions = PgLabSessions::new(db.pool.clone());
    suite(&PgLedger::new(db.pool.clone(), machines()), &Learner { sessions: &sessions, id }).await;
}

/// Whose sessions they are.
struct Learner<'a> {
    sessions: &'a dyn LabSessions,
    id: UserId,
}

impl Learner<'_> {
    async fn opens(&self, name: &str) -> SessionId {
        self.sessions.open(self.id, &lab(name)).await.unwrap().id
    }

    async fn ends(&self, session: SessionId) {
        self.sessions.set_status(session, SessionStatus::Finished, None).await.unwrap();
    }
}

/// Each leaves all ids free.
async fn suite(ledger: &dyn Ledger, learner: &Learner<'_>) {
    ids_are_a_sessions_own_until_it_is_over(ledger, learner).await;
    what_does_not_fit_reserves_nothing(ledger, learner).await;
    sessions_at_once_get_different_ids(ledger, learner).await;
    ids_that_were_free_the_longest_come_first(ledger, learner).await;
    an_orphan_keeps_its_id(ledger, learner).await;
    a_session_that_is_over_gets_none(ledger, learner).await;
    what_is_found_again_is_the_same_orphan(ledger).await;
    what_is_not_found_is_gone(ledger).await;
    kinds_are_apart_and_the_oldest_comes_first(ledger).await;
}

async fn ids_are_a_sessions_own_until_it_is_over(ledger: &dyn Ledger, learner: &Learner<'_>) {
    let session = learner.opens("own").await;
    assert_eq!(ledger.reservation(session).await.unwrap(), None);
    let reservation = ledger.reserve(session, 2).await.unwrap();
    assert_eq!((reservation.vmids.clone(), reservation.session), (vec![700, 701], session));
    assert_eq!((reservation.pool.as_str(), reservation.tag.clone()), ("labs", format!("fm-{session}")));
    assert_eq!(ledger.reserve(session, 2).await.unwrap(), reservation);
    assert_eq!(ledger.reservation(session).await.unwrap().as_ref(), Some(&reservation));
    assert_eq!(ledger.reserve(session, 1).await.unwrap().vmids, [700], "no more than were asked for");
    assert_eq!(ledger.reserve(session, 3).await.unwrap().vmids, [700, 701, 702]);
    for status in [SessionStatus::Ready, SessionStatus::Dirty, SessionStatus::Finishing] {
        learner.sessions.set_status(session, status, None).await.unwrap();
        let reserved = ledger.reserved().await.unwrap();
        assert_eq!((reserved.len(), reserved[0].status), (1, status));
        assert_eq!(reserved[0].reservation.vmids, [700, 701, 702]);
    }
    learner.ends(session).await;
    assert_eq!(ledger.reserved().await.unwrap(), []);
    assert_eq!(ledger.reservation(session).await.unwrap(), None);
}

async fn what_does_not_fit_reserves_nothing(ledger: &dyn Ledger, learner: &Learner<'_>) {
    let (one, two) = (learner.opens("one").await, learner.opens("two").await);
    ledger.reserve(one, 3).await.unwrap();
    assert_eq!(code(ledger.reserve(two, 2).await), "machines.none_free");
    assert_eq!(ledger.reservation(two).await.unwrap(), None);
    assert_eq!(ledger.reserve(two, 1).await.unwrap().vmids.len(), 1);
    assert_eq!(code(ledger.reserve(two, 2).await), "machines.none_free");
    learner.ends(one).await;
    assert_eq!(ledger.reserve(two, 4).await.unwrap().vmids, [700, 701, 702, 703]);
    learner.ends(two).await;
}

async fn sessions_at_once_get_different_ids(ledger: &dyn Ledger, learner: &Learner<'_>) {
    let mut sessions = Vec::new();
    for name in ["a", "b", "c", "d"] {
        sessions.push(learner.opens(name).await);
    }
    let reserving = sessions.iter().map(|session| ledger.reserve(*session, 1));
    let reserved = futures_util::future::join_all(reserving).await;
    let mut vmids: Vec<u32> = reserved.into_iter().flat_map(|it| it.unwrap().vmids).collect();
    vmids.sort_unstable();
    assert_eq!(vmids, [700, 701, 702, 703]);
    for session in sessions {
        learner.ends(session).await;
    }
}

/// So that what a late task makes is not taken for another session's.
async fn ids_that_were_free_the_longest_come_first(ledger: &dyn Ledger, learner: &Learner<'_>) {
    let mut held = Vec::new();
    for name in ["a", "b", "c", "d"] {
        let session = learner.opens(name).await;
        held.push((session, ledger.reserve(session, 1).await.unwrap().vmids[0]));
    }
    for at in [2, 0, 3, 1] {
        learner.ends(held[at].0).await;
        assert!(!ledger.reserved().await.unwrap().iter().any(|it| it.reservation.session == held[at].0));
    }
    let next = learner.opens("next").await;
    assert_eq!(ledger.reserve(next, 1).await.unwrap().vmids, [held[2].1]);
    let mut two = vec![held[2].1, held[0].1];
    two.sort_unstable();
    assert_eq!(ledger.reserve(next, 2).await.unwrap().vmids, two);
    learner.ends(next).await;
}

fn found(kind: OrphanKind, vmid: u32) -> Found {
    Found { kind, vmid, name: Some(format!("vm-{vmid}")), node: Some("pve1".to_owned()), session: None }
}

async fn an_orphan_keeps_its_id(ledger: &dyn Ledger, learner: &Learner<'_>) {
    ledger.settle(&[found(OrphanKind::NotInState, 701)]).await.unwrap();
    let session = learner.opens("beside").await;
    assert_eq!(code(ledger.reserve(session, 4).await), "machines.none_free");
    assert_eq!(ledger.reserve(session, 3).await.unwrap().vmids, [700, 702, 703]);
    ledger.settle(&[]).await.unwrap();
    assert_eq!(ledger.reserve(session, 4).await.unwrap().vmids, [700, 701, 702, 703]);
    learner.ends(session).await;
}

async fn a_session_that_is_over_gets_none(ledger: &dyn Ledger, learner: &Learner<'_>) {
    let session = learner.opens("over").await;
    learner.ends(session).await;
    assert_eq!(code(ledger.reserve(session, 1).await), "session.ended");
    assert_eq!(code(ledger.reserve(SessionId::new(), 1).await), "session.ended");
    assert_eq!(ledger.reserved().await.unwrap(), []);
}

async fn what_is_found_again_is_the_same_orphan(ledger: &dyn Ledger) {
    let session = Some(SessionId::new());
    ledger.settle(&[Found { session, ..found(OrphanKind::NotInState, 9) }]).await.unwrap();
    let first = ledger.orphans().await.unwrap().remove(0);
    assert_eq!((first.kind, first.vmid, first.session), (OrphanKind::NotInState, 9, session));
    assert_eq!((first.name.as_deref(), first.node.as_deref()), (Some("vm-9"), Some("pve1")));
    let moved = Found { node: Some("pve2".to_owned()), name: None, ..found(OrphanKind::NotInState, 9) };
    ledger.settle(&[moved]).await.unwrap();
    let again = ledger.orphans().await.unwrap().remove(0);
    assert_eq!((again.id, again.found_at), (first.id, first.found_at));
    assert!(again.seen_at > first.seen_at);
    let told = (again.node.as_deref(), again.name, again.session);
    assert_eq!(told, (Some("pve2"), None, None), "as it is now");
}

async fn what_is_not_found_is_gone(ledger: &dyn Ledger) {
    let first = ledger.orphans().await.unwrap().remove(0);
    ledger.settle(&[]).await.unwrap();
    assert_eq!(ledger.orphans().await.unwrap(), []);
    ledger.settle(&[found(OrphanKind::NotInState, 9)]).await.unwrap();
    let second = ledger.orphans().await.unwrap().remove(0);
    assert_ne!(second.id, first.id, "another one with its id");
    ledger.forget(first.id).await.unwrap();
    ledger.forget(Uuid::now_v7()).await.unwrap();
    assert_eq!(ledger.orphans().await.unwrap()[0].id, second.id);
    ledger.forget(second.id).await.unwrap();
    assert_eq!(ledger.orphans().await.unwrap(), []);
}

async fn kinds_are_apart_and_the_oldest_comes_first(ledger: &dyn Ledger) {
    let (stray, gone) = (OrphanKind::NotInState, OrphanKind::NotInProxmox);
    ledger.settle(&[found(gone, 9)]).await.unwrap();
    ledger.settle(&[found(stray, 9), found(stray, 8), found(gone, 9)]).await.unwrap();
    let brief = async || {
        let orphans = ledger.orphans().await.unwrap();
        orphans.iter().map(|orphan| (orphan.kind, orphan.vmid)).collect::<Vec<_>>()
    };
    assert_eq!(brief().await, [(gone, 9), (stray, 8), (stray, 9)]);
    ledger.settle(&[found(stray, 9)]).await.unwrap();
    assert_eq!(brief().await, [(stray, 9)]);
    ledger.settle(&[]).await.unwrap();
}
