//! `why` is right in every state: each is reached by a run of its own.

use std::sync::Arc;
use std::time::Duration;

use flow_domain::Cancel;
use flow_domain::flows::store::Standing;
use flow_domain::flows::why::{BlockedBy, Why};
use flow_domain::flows::{FlowStore, Outcome, RunStatus};
use flow_domain::{Error, RunId};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{Process, Script, eager, fail, flow, over_both, retry, with, worker};

over_both!(why_is_right_in_every_state, why_knows_a_dead_owner_and_a_missing_process);

async fn asked(process: &Process, id: RunId) -> Why {
    process.flows.why(&process.caller, id).await.unwrap()
}

fn verbs(why: &Why) -> Vec<&str> {
    why.can_do.iter().map(|call| call.rsplit('/').next().unwrap()).collect()
}

async fn why_is_right_in_every_state(store: Arc<dyn FlowStore>) {
    let gate = Arc::new(Semaphore::new(0));
    let (here, there) = (gate.clone(), gate.clone());
    let mut patient = eager(5);
    patient.backoff = Duration::from_secs(1000);
    patient.backoff_max = patient.backoff;
    let held = Script::new("held").policy(eager(1)).runs(move |_, _| {
        let gate = here.clone();
        async move {
            let _ = gate.acquire().await;
            Outcome::Done(Value::Null)
        }
    });
    let slow_undo = Script::new("slow_undo").undoes(move |_, _| {
        let gate = there.clone();
        async move {
            let _ = gate.acquire().await;
            Outcome::Done(Value::Null)
        }
    });
    let tasks = [
        held.made(),
        slow_undo.made(),
        Script::new("ok").undoes(|_, _| async { Outcome::Done(Value::Null) }).made(),
        Script::new("broken").runs(|_, _| async { fail("broken") }).made(),
        Script::new("busy").policy(patient).runs(|_, _| async { retry("busy") }).made(),
        Script::new("waits")
            .runs(|_, _| async { Outcome::WaitUntil(Timestamp::now() + Duration::from_secs(900)) })
            .made(),
        Script::new("stuck").policy(eager(1)).undoes(|_, _| async { fail("still.stuck") }).made(),
        Script::new("busy_undo").policy(patient).undoes(|_, _| async { retry("undo.busy") }).made(),
    ];
    let process = Process::start(store, &tasks).await;

    let running = process.begin(with(flow(&["ok", "held"]), json!({"concurrency_key": "k"}))).await;
    process.seen(running, |run| run.head.cursor == Some(1)).await;
    let why = asked(&process, running).await;
    assert_eq!((why.status, why.holder.as_deref()), (RunStatus::Running, Some("here")));
    assert!(why.sentence.contains("\"held\"") && why.sentence.contains("\"here\""), "{}", why.sentence);
    assert_eq!(verbs(&why), ["cancel"]);
    assert_eq!(why.blocked_by, None);

    let next = process.begin(with(flow(&["ok"]), json!({"concurrency_key": "k"}))).await;
    let after = process.begin(with(flow(&["ok"]), json!({"concurrency_key": "k"}))).await;
    for (id, ahead) in [(next, 0), (after, 1)] {
        let why = asked(&process, id).await;
        assert_eq!((why.status, verbs(&why)), (RunStatus::Queued, vec!["cancel"]));
        let blocked = BlockedBy::ConcurrencyKey { key: "k".into(), run: Some(running), ahead };
        assert_eq!(why.blocked_by, Some(blocked));
    }

    let waiting = process.begin(flow(&["waits"])).await;
    process.seen(waiting, |run| run.head.status == RunStatus::Waiting).await;
    let why = asked(&process, waiting).await;
    assert!(why.sentence.contains("asked to wait") && why.sentence.contains("89"), "{}", why.sentence);
    assert_eq!((verbs(&why), why.next_retry_at), (vec!["cancel"], None));

    let retrying = process.begin(flow(&["busy"])).await;
    process.seen(retrying, |run| run.head.status == RunStatus::Waiting).await;
    let why = asked(&process, retrying).await;
    assert!(why.sentence.contains("Attempt 1") && why.sentence.contains("not now"), "{}", why.sentence);
    assert!(why.next_retry_at.unwrap() > Timestamp::now() + Duration::from_secs(900));
    assert_eq!(why.last_error.unwrap().code, "busy");

    let undoing = process.begin(flow(&["slow_undo", "broken"])).await;
    process.seen(undoing, |run| run.steps.first().is_some_and(|step| step.undo_attempt == 1)).await;
    let why = asked(&process, undoing).await;
    assert_eq!((why.status, verbs(&why).is_empty()), (RunStatus::Undoing, true));
    assert!(why.sentence.contains("\"slow_undo\" is being taken back"), "{}", why.sentence);

    let undo_waits = process.begin(flow(&["busy_undo", "broken"])).await;
    process.seen(undo_waits, |run| run.head.status == RunStatus::Undoing && run.head.wake_at.is_some()).await;
    let why = asked(&process, undo_waits).await;
    assert!(why.sentence.contains("\"busy_undo\" failed; the next attempt"), "{}", why.sentence);
    assert!(why.next_retry_at.is_some());

    for (steps, status, words, can) in [
        (vec!["ok"], RunStatus::Succeeded, "succeeded", vec!["retry", "undo"]),
        (vec!["broken"], RunStatus::Failed, "Step \"broken\": it broke", vec!["retry", "undo"]),
        (vec!["ok", "broken"], RunStatus::Undone, "taken back", vec!["retry"]),
        (vec!["stuck", "broken"], RunStatus::UndoFailed, "could not be taken back", vec!["undo"]),
    ] {
        let run = process.run(flow(&steps)).await;
        let why = asked(&process, run.id).await;
        assert_eq!((why.status, verbs(&why)), (status, can));
        assert!(why.sentence.contains(words), "{}", why.sentence);
        assert_eq!((why.since, why.holder), (run.head.finished_at.unwrap(), None));
    }

    process.flows.cancel(&process.caller, waiting, Cancel::Orderly).await.unwrap();
    process.ended(waiting).await;
    let why = asked(&process, waiting).await;
    assert_eq!((why.status, verbs(&why)), (RunStatus::Cancelled, vec!["retry"]));
    gate.add_permits(100);
    for id in [running, next, after, undoing] {
        process.ended(id).await;
    }
}

async fn why_knows_a_dead_owner_and_a_missing_process(store: Arc<dyn FlowStore>) {
    let held = Script::new("held").runs(|_, _| std::future::pending()).made();
    let process = Process::start(store.clone(), &[held]).await;
    let labelled = process.begin(with(flow(&["held"]), json!({"runs_on": "moon"}))).await;
    let why = asked(&process, labelled).await;
    assert_eq!(why.blocked_by, Some(BlockedBy::NoWorker { runs_on: Some("moon".into()) }));
    assert!(why.sentence.contains("\"moon\""), "{}", why.sentence);

    // A process that gave its lease back and still owns a run, as one does that was cut short.
    let (mut run, owner) = (process.read(labelled).await, worker(&[]));
    store.renew(&owner).await.unwrap();
    run.id = RunId::new();
    run.claim(owner.id, Timestamp::now());
    let new = flow_domain::flows::store::NewRun { run: run.clone(), claim: true, idempotency: None };
    store.create(new).await.unwrap();
    store.retire(owner.id).await.unwrap();
    let standing: Result<Standing, Error> = store.standing(&run).await;
    assert!(standing.unwrap().heartbeat_age_s.is_some_and(|age| age > 5.0));
    let why = asked(&process, run.id).await;
    assert!(matches!(why.blocked_by, Some(BlockedBy::LostOwner { .. })), "{:?}", why.blocked_by);
    assert!(why.sentence.contains("another takes the run over"), "{}", why.sentence);
    assert!(!why.sentence.contains("inf"), "{}", why.sentence);
}
