//! Cancels, and runs that wait for each other's key.

use std::slice;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flow_domain::Cancel;
use flow_domain::flows::{Cause, FlowStore, Outcome, RunStatus};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::{Notes, Process, Script, count, eager, fail, flow, over_both, retry, until, with};

over_both!(
    a_cancel_reaches_a_running_task_at_once,
    a_cancel_wakes_a_run_that_waits,
    a_cancel_ends_the_retries,
    a_cancel_during_the_undo_has_no_effect,
    a_run_over_cannot_be_cancelled,
    runs_of_one_key_go_one_by_one_in_order,
    a_run_that_waits_for_a_key_can_be_cancelled,
    a_cancel_reaches_a_run_that_waits_for_a_slot,
);

/// Runs until it is told to stop.
fn endless(name: &'static str) -> Script {
    Script::new(name).policy(eager(1)).runs(|context, _| async move {
        context.cancel.cancelled().await;
        fail("told.to.stop")
    })
}

async fn a_cancel_reaches_a_running_task_at_once(store: Arc<dyn FlowStore>) {
    let notes = Notes::default();
    let busy = endless("busy").undoes(|_, _| async { Outcome::Done(Value::Null) }).made();
    let process = Process::start(store, &[Script::new("a").noted(&notes).made(), busy.clone()]).await;
    let id = process.begin(flow(&["a", "busy"])).await;
    until(async || (count(&busy.runs) == 1).then_some(())).await;
    let asked = Instant::now();
    process.flows.cancel(&process.caller, id, Cancel::Orderly).await.unwrap();
    process.flows.cancel(&process.caller, id, Cancel::Orderly).await.unwrap();
    let run = process.ended(id).await;
    assert!(asked.elapsed() < Duration::from_secs(30), "{:?}", asked.elapsed());
    assert_eq!((run.head.status, run.head.cause), (RunStatus::Cancelled, Some(Cause::Cancel)));
    assert_eq!((notes.all().len(), count(&busy.undos)), (2, 1));
    process.flows.cancel(&process.caller, id, Cancel::Orderly).await.unwrap();
}

async fn a_cancel_wakes_a_run_that_waits(store: Arc<dyn FlowStore>) {
    let waits = Script::new("waits")
        .runs(|_, _| async { Outcome::WaitUntil(Timestamp::now() + Duration::from_secs(3600)) })
        .made();
    let process = Process::start(store, &[waits]).await;
    let id = process.begin(flow(&["waits"])).await;
    process.seen(id, |run| run.head.status == RunStatus::Waiting && run.head.owner.is_none()).await;
    process.flows.cancel(&process.caller, id, Cancel::Orderly).await.unwrap();
    assert_eq!(process.ended(id).await.head.status, RunStatus::Cancelled);
    process.events(id).await;
}

async fn a_cancel_ends_the_retries(store: Arc<dyn FlowStore>) {
    let mut policy = eager(100);
    policy.backoff = Duration::from_millis(1500);
    policy.backoff_max = policy.backoff;
    let busy = Script::new("busy").policy(policy).runs(|_, _| async { retry("busy") }).made();
    let process = Process::start(store, slice::from_ref(&busy)).await;
    let id = process.begin(flow(&["busy"])).await;
    process.seen(id, |run| run.head.status == RunStatus::Waiting).await;
    process.flows.cancel(&process.caller, id, Cancel::Orderly).await.unwrap();
    let run = process.ended(id).await;
    assert_eq!((run.head.status, run.head.error.is_none()), (RunStatus::Cancelled, true));
    assert!(count(&busy.runs) < 4);
}

async fn a_cancel_during_the_undo_has_no_effect(store: Arc<dyn FlowStore>) {
    let (entered, leave) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (inside, go) = (entered.clone(), leave.clone());
    let a = Script::new("a").undoes(move |context, _| {
        let (inside, go) = (inside.clone(), go.clone());
        async move {
            inside.notify_one();
            go.notified().await;
            if context.cancel.is_cancelled() { fail("told.to.stop") } else { Outcome::Done(Value::Null) }
        }
    });
    let a = a.made();
    let broken = Script::new("broken").runs(|_, _| async { fail("broken") }).made();
    let process = Process::start(store, &[a.clone(), broken]).await;
    let id = process.begin(flow(&["a", "broken"])).await;
    entered.notified().await;
    let run = process.flows.cancel(&process.caller, id, Cancel::Orderly).await.unwrap();
    assert_eq!(run.head.status, RunStatus::Undoing);
    leave.notify_one();
    let run = process.ended(id).await;
    assert_eq!((run.head.status, run.head.cause), (RunStatus::Undone, Some(Cause::Failure)));
    assert_eq!(count(&a.undos), 1);
}

async fn a_run_over_cannot_be_cancelled(store: Arc<dyn FlowStore>) {
    let process = Process::start(store, &[Script::new("a").made()]).await;
    let run = process.run(flow(&["a"])).await;
    let refused = process.flows.cancel(&process.caller, run.id, Cancel::Orderly).await.unwrap_err();
    assert_eq!(refused.code, "run.over");
    assert!(refused.public.contains("succeeded"), "{}", refused.public);
}

async fn runs_of_one_key_go_one_by_one_in_order(store: Arc<dyn FlowStore>) {
    let notes = Notes::default();
    let (begins, ends) = (notes.clone(), notes.clone());
    let work = Script::new("work").runs(move |context, _| {
        begins.add(format!("begin {}", context.run));
        let ends = ends.clone();
        async move {
            tokio::task::yield_now().await;
            ends.add(format!("end {}", context.run));
            fail("broken")
        }
    });
    // The key is held until the undo is over.
    let undone = notes.clone();
    let work = work.undoes(move |context, _| {
        undone.add(format!("undo {}", context.run));
        async { Outcome::Done(Value::Null) }
    });
    let process = Process::start(store, &[work.made()]).await;
    let keyed = with(flow(&["work"]), json!({"concurrency_key": "one"}));
    let mut expected = Vec::new();
    let mut ids = Vec::new();
    for _ in 0..5 {
        let id = process.begin(keyed.clone()).await;
        expected.extend(["begin", "end", "undo"].map(|what| format!("{what} {id}")));
        ids.push(id);
    }
    for id in ids {
        assert_eq!(process.ended(id).await.head.status, RunStatus::Undone);
        process.events(id).await;
    }
    assert_eq!(notes.all(), expected);
}

async fn a_run_that_waits_for_a_key_can_be_cancelled(store: Arc<dyn FlowStore>) {
    let (busy, quick) = (endless("busy").made(), Script::new("quick").made());
    let process = Process::start(store, &[busy.clone(), quick.clone()]).await;
    let keyed = |name| with(flow(&[name]), json!({"concurrency_key": "one"}));
    let first = process.begin(keyed("busy")).await;
    until(async || (count(&busy.runs) == 1).then_some(())).await;
    let second = process.begin(keyed("quick")).await;
    let third = process.begin(keyed("quick")).await;
    process.flows.cancel(&process.caller, second, Cancel::Orderly).await.unwrap();
    assert_eq!(process.ended(second).await.head.status, RunStatus::Cancelled);
    assert_eq!(process.read(third).await.head.status, RunStatus::Queued, "the first still holds the key");
    assert_eq!(count(&quick.runs), 0);
    process.flows.cancel(&process.caller, first, Cancel::Orderly).await.unwrap();
    assert_eq!(process.ended(third).await.head.status, RunStatus::Succeeded);
}

async fn a_cancel_reaches_a_run_that_waits_for_a_slot(store: Arc<dyn FlowStore>) {
    let (busy, quick) = (endless("busy").made(), Script::new("quick").made());
    let process = Process::start_with(store, &[busy.clone(), quick.clone()], 1, vec![]).await;
    let first = process.begin(flow(&["busy"])).await;
    until(async || (count(&busy.runs) == 1).then_some(())).await;
    let second = process.begin(flow(&["quick"])).await;
    process.flows.cancel(&process.caller, second, Cancel::Orderly).await.unwrap();
    assert_eq!(process.ended(second).await.head.status, RunStatus::Cancelled);
    assert_eq!(count(&quick.runs), 0);
    process.flows.cancel(&process.caller, first, Cancel::Orderly).await.unwrap();
    process.ended(first).await;
}
