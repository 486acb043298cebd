//! Who drives a run, and how it changes hands.

use std::time::Duration;

use flow_domain::flows::outcome::Reason;
use flow_domain::flows::run::{Failure, Run};
use flow_domain::flows::store::{Ack, Created, FlowStore, NewRun, Release, Worker};
use flow_domain::{Cancel, RunId, WorkerId};
use serde_json::json;

use super::{STORED, definition, now, read, run, run_of, saved, step, stored, worker};

pub async fn a_released_run_is_claimed_when_its_time_has_come(store: &dyn FlowStore) {
    let (owner, heir) = (WorkerId::new(), worker());
    let mut run = stored(store, run(), owner).await;
    let position = run.start_step(0, json!({}), false, now());
    run.hold_step(position, now() + Duration::from_secs(3600), now());
    saved(store, &mut run, owner, Some(Release::At(now() + Duration::from_secs(3600)))).await;
    let claimed = store.claim(&heir, 100, None).await.unwrap();
    assert!(claimed.iter().all(|claimed| claimed.id != run.id), "its time has not come");
    assert!(store.next_due().await.unwrap().is_some());

    store.request_cancel(run.id, Cancel::Orderly).await.unwrap();
    let claimed = store.claim(&heir, 100, None).await.unwrap();
    let claimed = claimed.iter().find(|claimed| claimed.id == run.id).expect("a cancel makes it due");
    assert!(claimed.head.cancel.is_some());
    assert_eq!((claimed.head.owner, claimed.head.epoch), (Some(heir.id), 2));
    assert_eq!(claimed.steps, run.steps);
}

pub async fn an_abandoned_run_is_taken_over_under_a_new_epoch(store: &dyn FlowStore) {
    let (dead, heir) = (worker(), worker());
    store.renew(&dead).await.unwrap();
    store.renew(&heir).await.unwrap();
    let mut run = stored(store, run(), dead.id).await;
    step(&mut run, json!("kept"));
    saved(store, &mut run, dead.id, None).await;
    let patience = Some(Duration::from_secs(5));
    assert!(store.claim(&heir, 100, patience).await.unwrap().iter().all(|claimed| claimed.id != run.id));
    store.retire(dead.id).await.unwrap();
    assert!(store.claim(&heir, 100, None).await.unwrap().iter().all(|claimed| claimed.id != run.id));
    let claimed = store.claim(&heir, 100, patience).await.unwrap();
    let claimed = claimed.iter().find(|claimed| claimed.id == run.id).expect("its owner is gone");
    assert_eq!((claimed.head.epoch, claimed.head.takeovers), (2, 1));
    assert_eq!(claimed.steps, run.steps);
    step(&mut run, json!("late"));
    assert_eq!(saved(store, &mut run, dead.id, Some(Release::Final)).await, Ack::Fenced);
}

pub async fn a_process_takes_only_what_it_can_do(store: &dyn FlowStore) {
    let run = run_of(definition(json!({"runs_on": "build"})));
    store.create(NewRun { run: run.clone(), claim: false, idempotency: None }).await.unwrap();
    let mine = |claimed: Vec<Run>| claimed.iter().any(|claimed| claimed.id == run.id);
    let lacks_task = Worker { labels: vec!["build".into()], tasks: vec!["other".into()], ..worker() };
    assert!(!mine(store.claim(&worker(), 100, None).await.unwrap()), "no label");
    assert!(!mine(store.claim(&lacks_task, 100, None).await.unwrap()), "no task");
    let able = Worker { labels: vec!["build".into()], ..worker() };
    assert!(mine(store.claim(&able, 100, None).await.unwrap()));
    assert!(!mine(store.claim(&able, 100, None).await.unwrap()), "once");
}

pub async fn a_pinned_run_is_taken_by_its_machine_alone(store: &dyn FlowStore) {
    let owner = worker();
    let mut run = stored(store, run(), owner.id).await;
    run.start_step(0, json!({}), true, now());
    run.pin("machine-a");
    saved(store, &mut run, owner.id, Some(Release::At(now()))).await;
    let mine = |claimed: Vec<Run>| claimed.iter().any(|claimed| claimed.id == run.id);
    let other = Worker { host_id: "machine-b".into(), ..worker() };
    assert!(!mine(store.claim(&other, 100, None).await.unwrap()));
    let same = Worker { host_id: "machine-a".into(), ..worker() };
    assert!(mine(store.claim(&same, 100, None).await.unwrap()));
}

pub async fn a_retry_takes_over_the_steps_of_its_old_run_once(store: &dyn FlowStore) {
    let owner = worker();
    let mut old = stored(store, run(), owner.id).await;
    step(&mut old, json!("kept"));
    let position = old.start_step(1, json!({}), false, now());
    old.fail_step(position, Failure::new(Reason::new("x", "y")), now());
    saved(store, &mut old, owner.id, Some(Release::Final)).await;
    let old = read(store, old.id).await;
    let mut new = old.retry(None, None, now()).unwrap();
    new.claim(owner.id, now());
    let request = |run: &Run| NewRun { run: run.clone(), claim: true, idempotency: None };
    let created = store.supersede(old.id, old.head.version, request(&new)).await.unwrap();
    assert!(matches!(created, Created::Stored { claimed: true }));
    let back = read(store, new.id).await;
    assert_eq!(
        (&back.steps, back.parent, back.head.event_seq),
        (&new.steps, Some(old.id), new.head.event_seq)
    );
    assert_eq!(read(store, old.id).await.head.superseded_by, Some(new.id));
    let again = old.retry(None, None, now()).unwrap();
    assert_eq!(
        store.supersede(old.id, old.head.version, request(&again)).await.unwrap_err().code,
        "run.changed"
    );
    assert!(store.run(again.id).await.unwrap().is_none(), "nothing of a refused retry stays");
    step(&mut new, json!("done"));
    assert_eq!(saved(store, &mut new, owner.id, Some(Release::Final)).await, STORED);
    let (events, done) = store.events(new.id, 0, 100).await.unwrap();
    let numbers: Vec<i64> = events.iter().map(|event| event.number).collect();
    assert_eq!((numbers, done), ((1..=new.head.event_seq).collect(), true));
}

pub async fn a_key_is_held_by_one_run_and_handed_on_in_order(store: &dyn FlowStore) {
    let owner = worker();
    let flow = definition(json!({"concurrency_key": format!("key-{}", RunId::new())}));
    let mut first = stored(store, run_of(flow.clone()), owner.id).await;
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let mut run = run_of(flow.clone());
        run.claim(owner.id, now());
        let created =
            store.create(NewRun { run: run.clone(), claim: true, idempotency: None }).await.unwrap();
        assert!(matches!(created, Created::Stored { claimed: false }));
        waiting.push(run.id);
    }
    let standing = store.standing(&read(store, waiting[1]).await).await.unwrap();
    assert_eq!((standing.key_holder, standing.key_queue), (Some(first.id), 1));
    let ours = |runs: Vec<Run>| runs.into_iter().filter(|run| waiting.contains(&run.id)).collect::<Vec<_>>();
    assert!(ours(store.claim(&owner, 100, None).await.unwrap()).is_empty());
    for expected in &waiting {
        step(&mut first, json!(1));
        step(&mut first, json!(2));
        assert_eq!(saved(store, &mut first, owner.id, Some(Release::Final)).await, STORED);
        let mut claimed = ours(store.claim(&owner, 100, None).await.unwrap());
        assert_eq!(claimed.iter().map(|run| run.id).collect::<Vec<_>>(), [*expected]);
        first = claimed.remove(0);
    }
    step(&mut first, json!(1));
    step(&mut first, json!(2));
    saved(store, &mut first, owner.id, Some(Release::Final)).await;
    stored(store, run_of(flow), owner.id).await;
}
