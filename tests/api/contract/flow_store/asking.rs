//! What callers ask of runs: cancels, forced ones, and undo by hand.

use std::time::Duration;

use flow_domain::flows::run::{Run, RunStatus};
use flow_domain::flows::store::{Ack, FlowStore, NewRun, Release, Worker};
use flow_domain::{Cancel, RunId, WorkerId};
use serde_json::json;

use super::{STORED, definition, now, read, run, run_of, saved, step, stored, worker};

const PATIENCE: Option<Duration> = Some(Duration::from_secs(5));

pub async fn a_cancel_is_told_with_the_next_checkpoint(store: &dyn FlowStore) {
    let owner = WorkerId::new();
    let mut run = stored(store, run(), owner).await;
    let ask = async |how| store.request_cancel(run.id, how).await.unwrap();
    assert_eq!(ask(Cancel::Orderly).await, Some(RunStatus::Running));
    assert_eq!(store.cancels(owner).await.unwrap(), [(run.id, Cancel::Orderly)]);
    assert_eq!(store.cancels(WorkerId::new()).await.unwrap(), []);
    ask(Cancel::Forced).await;
    ask(Cancel::Orderly).await;
    assert_eq!(store.cancels(owner).await.unwrap(), [(run.id, Cancel::Forced)], "force is not taken back");
    step(&mut run, json!(1));
    assert_eq!(saved(store, &mut run, owner, None).await, Ack::Stored { cancel: Some(Cancel::Forced) });
    run.cancel(now());
    saved(store, &mut run, owner, Some(Release::Final)).await;
    let again = store.request_cancel(run.id, Cancel::Orderly).await.unwrap();
    assert_eq!(again, Some(RunStatus::Cancelled));
    assert_eq!(store.request_cancel(RunId::new(), Cancel::Forced).await.unwrap(), None);
    assert_eq!(store.cancels(owner).await.unwrap(), []);
}

/// Pinned to a machine, let go or with its owner dead: only force gives it to another, and only once the machine is
/// dead by the judgement of who claims.
pub async fn force_gives_away_what_a_dead_machine_holds(store: &dyn FlowStore) {
    let other = Worker { host_id: "machine-b".into(), ..worker() };
    store.renew(&other).await.unwrap();
    for let_go in [true, false] {
        let host = format!("machine-{}", RunId::new());
        let owner = Worker { host_id: host.clone(), ..worker() };
        store.renew(&owner).await.unwrap();
        let mut run = stored(store, run(), owner.id).await;
        run.start_step(0, json!({}), true, now());
        run.pin(&host);
        saved(store, &mut run, owner.id, let_go.then(|| Release::At(now()))).await;
        let claimed = async |patience| {
            let claimed = store.claim(&other, 100, patience).await.unwrap();
            claimed.into_iter().find(|claimed| claimed.id == run.id)
        };
        store.request_cancel(run.id, Cancel::Forced).await.unwrap();
        assert!(claimed(PATIENCE).await.is_none(), "its machine lives");
        store.retire(owner.id).await.unwrap();
        assert!(claimed(None).await.is_none(), "who has just come judges nobody");
        let standing = store.standing(&read(store, run.id).await).await.unwrap();
        assert!(standing.able_workers > 0, "force made others able");
        let claimed = claimed(PATIENCE).await.expect("its machine is dead");
        assert_eq!((claimed.head.host_id.as_ref(), claimed.head.cancel), (Some(&host), Some(Cancel::Forced)));
    }
    let gone = Worker { host_id: "machine-gone".into(), ..worker() };
    store.renew(&gone).await.unwrap();
    let mut run = stored(store, run(), gone.id).await;
    run.pin("machine-gone");
    saved(store, &mut run, gone.id, None).await;
    store.retire(gone.id).await.unwrap();
    store.request_cancel(run.id, Cancel::Orderly).await.unwrap();
    let claimed = store.claim(&other, 100, PATIENCE).await.unwrap();
    assert!(claimed.iter().all(|claimed| claimed.id != run.id), "an ordinary cancel waits for its machine");
    assert_eq!(store.standing(&run).await.unwrap().able_workers, 0);
}

async fn keyed(store: &dyn FlowStore, owner: &Worker, key: &str) -> Run {
    let mut run = run_of(definition(json!({"concurrency_key": key})));
    run.claim(owner.id, now());
    store.create(NewRun { run: run.clone(), claim: true, idempotency: None }).await.unwrap();
    run
}

async fn end(store: &dyn FlowStore, run: &mut Run, owner: &Worker) {
    for n in 0..2 {
        let position = run.start_step(n, json!({}), true, now());
        run.succeed_step(position, json!(n), now());
    }
    assert_eq!(saved(store, run, owner.id, Some(Release::Final)).await, STORED);
}

pub async fn undo_by_hand_waits_in_order_for_its_key(store: &dyn FlowStore) {
    let owner = worker();
    let key = format!("key-{}", RunId::new());
    let mut old = keyed(store, &owner, &key).await;
    end(store, &mut old, &owner).await;
    let mut holder = keyed(store, &owner, &key).await;
    let before = keyed(store, &owner, &key).await;
    let mut again = read(store, old.id).await;
    assert!(again.reopen(now()));
    assert_eq!(store.reopen(again.checkpoint(owner.id, None)).await.unwrap(), STORED);
    let behind = keyed(store, &owner, &key).await;

    let standing = async |id| store.standing(&read(store, id).await).await.unwrap();
    for (id, ahead) in [(before.id, 0), (old.id, 1), (behind.id, 2)] {
        let standing = standing(id).await;
        assert_eq!((standing.key_holder, standing.key_queue), (Some(holder.id), ahead));
    }
    let ours = [holder.id, before.id, old.id, behind.id];
    let claimed = async || {
        let claimed = store.claim(&owner, 100, None).await.unwrap();
        claimed.into_iter().filter(|claimed| ours.contains(&claimed.id)).collect::<Vec<_>>()
    };
    assert!(claimed().await.is_empty());
    // A cancel changes nothing for a run that is to be taken back, and lets it past nobody.
    store.request_cancel(old.id, Cancel::Orderly).await.unwrap();
    assert!(claimed().await.is_empty());
    end(store, &mut holder, &owner).await;
    let mut heirs = claimed().await;
    assert_eq!(heirs.iter().map(|run| run.id).collect::<Vec<_>>(), [before.id]);
    end(store, &mut heirs[0], &owner).await;
    let mut heirs = claimed().await;
    assert_eq!((heirs.len(), heirs[0].id, heirs[0].head.status), (1, old.id, RunStatus::Undoing));
    assert_eq!(standing(behind.id).await.key_holder, Some(old.id), "the undo holds the key");
    for position in [1, 0] {
        heirs[0].start_undo(position, now());
        heirs[0].finish_undo(position, now());
    }
    assert_eq!(heirs[0].head.status, RunStatus::Undone);
    assert_eq!(
        saved(store, &mut heirs[0], owner.id, Some(Release::Final)).await,
        Ack::Stored { cancel: Some(Cancel::Orderly) }
    );
    let mut heirs = claimed().await;
    assert_eq!(heirs.iter().map(|run| run.id).collect::<Vec<_>>(), [behind.id]);
    end(store, &mut heirs[0], &owner).await;

    // With the key free, at once.
    let mut again = read(store, behind.id).await;
    assert!(again.reopen(now()));
    store.reopen(again.checkpoint(owner.id, None)).await.unwrap();
    assert_eq!(claimed().await.iter().map(|run| run.id).collect::<Vec<_>>(), [behind.id]);
}

/// A retry's steps are to be taken back under its key, so its cancel waits for the key too.
pub async fn a_cancelled_retry_waits_for_its_key(store: &dyn FlowStore) {
    let owner = worker();
    let key = format!("key-{}", RunId::new());
    let mut old = keyed(store, &owner, &key).await;
    end(store, &mut old, &owner).await;
    let mut holder = keyed(store, &owner, &key).await;
    let old = read(store, old.id).await;
    let retry = old.retry(Some("b"), None, now()).unwrap();
    let new = NewRun { run: retry.clone(), claim: false, idempotency: None };
    store.supersede(old.id, old.head.version, new).await.unwrap();
    store.request_cancel(retry.id, Cancel::Orderly).await.unwrap();
    let claimed = async || {
        let claimed = store.claim(&owner, 100, None).await.unwrap();
        claimed.into_iter().filter(|claimed| claimed.id == retry.id).count()
    };
    assert_eq!(claimed().await, 0, "another run holds the key");
    end(store, &mut holder, &owner).await;
    assert_eq!(claimed().await, 1);
}
