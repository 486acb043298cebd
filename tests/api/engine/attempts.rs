//! Retries, timeouts, waits, and what is written when.

use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use flow_domain::flows::{Cause, Effect, FlowStore, Outcome, Policy, RunStatus, StepStatus};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::counting::CountingStore;
use super::{Notes, Process, Script, code, count, eager, fail, flow, over_both, retry, with};

over_both!(
    retries_are_recorded_one_by_one,
    a_step_that_never_succeeds_fails_after_its_attempts,
    an_outage_of_our_own_database_uses_up_no_attempts,
    a_failure_for_good_is_not_tried_again,
    a_timed_out_attempt_is_stopped_before_its_retry_starts,
    a_wait_holds_no_slot,
    a_failure_that_a_condition_handles_is_no_failure_of_the_run,
);

async fn retries_are_recorded_one_by_one(store: Arc<dyn FlowStore>) {
    let busy = Script::new("busy").policy(eager(5)).runs(|context, _| async move {
        if context.attempt < 3 { retry("busy") } else { Outcome::Done(json!(context.attempt)) }
    });
    let busy = busy.made();
    let process = Process::start(store, slice::from_ref(&busy)).await;
    let run = process.run(flow(&["busy"])).await;
    assert_eq!(run.head.status, RunStatus::Succeeded);
    let attempts: Vec<_> = run.steps.iter().map(|step| (step.attempt, step.status)).collect();
    let (failed, done) = (StepStatus::Failed, StepStatus::Succeeded);
    assert_eq!(attempts, [(1, failed), (2, failed), (3, done)]);
    assert_eq!(run.steps[0].error.as_ref().unwrap().code, "busy");
    assert_eq!(run.steps[2].output.as_deref(), Some(&json!(3)));
    assert_eq!(count(&busy.runs), 3);
    let kinds = process.kinds(run.id).await;
    assert_eq!(kinds.iter().filter(|kind| **kind == "step.retrying").count(), 2);
    assert_eq!(kinds.last(), Some(&"run.succeeded"));
}

async fn a_step_that_never_succeeds_fails_after_its_attempts(store: Arc<dyn FlowStore>) {
    let busy = Script::new("busy").policy(eager(1)).runs(|_, _| async { retry("busy") }).made();
    let process = Process::start(store, slice::from_ref(&busy)).await;
    let three = json!({"name": "test", "tasks": [{"name": "busy", "attempts": 3}]});
    let run = process.run(three).await;
    assert_eq!(
        (run.head.status, run.head.cause, code(&run)),
        (RunStatus::Failed, Some(Cause::Failure), "busy")
    );
    assert_eq!((run.steps.len(), count(&busy.runs)), (3, 3));
}

async fn an_outage_of_our_own_database_uses_up_no_attempts(store: Arc<dyn FlowStore>) {
    let away = || retry("database.unavailable");
    let stores = Script::new("stores")
        .policy(eager(2))
        .runs(move |context, _| async move {
            if context.attempt < 5 { away() } else { Outcome::Done(json!(context.attempt)) }
        })
        .undoes({
            let tries = AtomicUsize::new(0);
            move |_, _| {
                let tried = tries.fetch_add(1, Ordering::SeqCst);
                async move { if tried < 5 { away() } else { Outcome::Done(Value::Null) } }
            }
        });
    let (stores, broken) =
        (stores.made(), Script::new("broken").runs(|_, _| async { fail("broken") }).made());
    let process = Process::start(store, &[stores.clone(), broken]).await;
    let run = process.run(flow(&["stores", "broken"])).await;
    assert_eq!((run.head.status, code(&run)), (RunStatus::Undone, "broken"));
    assert_eq!((count(&stores.runs), count(&stores.undos)), (5, 6));
}

async fn a_failure_for_good_is_not_tried_again(store: Arc<dyn FlowStore>) {
    let broken = Script::new("broken").policy(eager(9)).runs(|_, _| async { fail("broken") }).made();
    let never = Script::new("never").made();
    let process = Process::start(store, &[broken.clone(), never.clone()]).await;
    let run = process.run(flow(&["broken", "never"])).await;
    assert_eq!((run.head.status, code(&run)), (RunStatus::Failed, "broken"));
    assert_eq!((count(&broken.runs), count(&never.runs)), (1, 0));
    assert_eq!(run.step_status(1), StepStatus::Skipped);
}

async fn a_timed_out_attempt_is_stopped_before_its_retry_starts(store: Arc<dyn FlowStore>) {
    let (alive, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (now, peak) = (alive.clone(), most.clone());
    let policy =
        Policy { timeout: Duration::from_millis(150), grace: Duration::from_millis(400), ..eager(2) };
    // Goes on for a while after it was told to stop, as a program does that is told by a signal.
    let slow = Script::new("slow").policy(policy).runs(move |context, _| {
        let (now, peak) = (now.clone(), peak.clone());
        async move {
            peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            context.cancel.cancelled().await;
            tokio::time::sleep(Duration::from_millis(150)).await;
            now.fetch_sub(1, Ordering::SeqCst);
            fail("stopped")
        }
    });
    let slow = slow.made();
    let process = Process::start(store, slice::from_ref(&slow)).await;
    let run = process.run(flow(&["slow"])).await;
    assert_eq!((run.head.status, run.head.cause), (RunStatus::Failed, Some(Cause::Timeout)));
    assert_eq!(code(&run), "task.timed_out");
    assert_eq!(count(&slow.runs), 2);
    assert_eq!((most.load(Ordering::SeqCst), alive.load(Ordering::SeqCst)), (1, 0));
    assert!(run.steps[1].started_at >= run.steps[0].finished_at.unwrap());
}

/// Three flows that wait for each other's time, in one slot: a wait that held it would keep the others out.
async fn a_wait_holds_no_slot(store: Arc<dyn FlowStore>) {
    let (short, long) = (Duration::from_millis(700), Duration::from_millis(2600));
    let waits = |name, pause: Duration| {
        Script::new(name).runs(move |context, _| async move {
            match context.waited_until {
                None => Outcome::WaitUntil(Timestamp::now() + pause),
                Some(_) => Outcome::Done(Value::Null),
            }
        })
    };
    let tasks = [waits("short", short).made(), waits("long", long).made(), Script::new("quick").made()];
    let process = Process::start_with(store, &tasks, 1, vec![]).await;
    let long = process.begin(flow(&["long"])).await;
    let short = process.begin(flow(&["short"])).await;
    process.seen(long, |run| run.head.status == RunStatus::Waiting).await;
    process.seen(short, |run| run.head.status == RunStatus::Waiting).await;
    let quick = process.run(flow(&["quick"])).await;
    assert_eq!(quick.head.status, RunStatus::Succeeded);
    assert_eq!(process.read(long).await.head.status, RunStatus::Waiting, "the quick one overtook it");
    for id in [short, long] {
        let run = process.ended(id).await;
        assert_eq!((run.head.status, run.steps.len()), (RunStatus::Succeeded, 1));
        assert!(run.head.finished_at.unwrap() >= run.steps[0].waited_until.unwrap());
    }
    assert_eq!(process.read(long).await.head.epoch, 2, "it was let go while it waited");
}

async fn a_failure_that_a_condition_handles_is_no_failure_of_the_run(store: Arc<dyn FlowStore>) {
    let notes = Notes::default();
    let broken = Script::new("broken").runs(|_, _| async { fail("broken") });
    let tasks = [
        broken.made(),
        Script::new("skipped").noted(&notes).made(),
        Script::new("else").noted(&notes).made(),
    ];
    let process = Process::start(store, &tasks).await;
    let conditions = json!({"conditions": [{"name": "c", "source_task": "broken", "outcome": "success",
        "target_task_success": "skipped", "target_task_failure": "else"}]});
    let run = process.run(with(flow(&["broken", "skipped", "else"]), conditions)).await;
    assert_eq!(run.head.status, RunStatus::Succeeded);
    assert_eq!(run.head.error, None);
    let all = [StepStatus::Failed, StepStatus::Skipped, StepStatus::Succeeded];
    assert_eq!([0, 1, 2].map(|index| run.step_status(index)), all);
    assert_eq!(notes.all(), ["run else"]);
}

#[tokio::test]
async fn pure_steps_ride_with_the_next_write() {
    let store = Arc::new(CountingStore::default());
    let pure = ["p1", "p2", "p3"].map(|name| Script::new(name).effect(Effect::Pure).made());
    let tasks = [&pure[..], &[Script::new("last").made()]].concat();
    let process = Process::start(store.clone(), &tasks).await;
    let run = process.run(flow(&["p1", "p2", "p3", "last"])).await;
    assert_eq!(run.head.status, RunStatus::Succeeded);
    assert_eq!(*store.written.lock().unwrap(), [["p1", "p2", "p3", "last"]]);
    assert!(run.steps.iter().all(|step| step.status == StepStatus::Succeeded));
}

#[tokio::test]
async fn an_idempotent_step_is_durable_before_the_next_and_a_once_step_before_it_starts() {
    let store = Arc::new(CountingStore::default());
    let seen = store.clone();
    let once = Script::new("once").effect(Effect::Once).runs(move |_, _| {
        let written = seen.written.lock().unwrap().clone();
        async move { Outcome::Done(json!(written)) }
    });
    let tasks = [
        Script::new("pure").effect(Effect::Pure).made(),
        Script::new("idem").made(),
        Script::new("pure2").effect(Effect::Pure).made(),
        once.made(),
    ];
    let process = Process::start(store.clone(), &tasks).await;
    let run = process.run(flow(&["pure", "idem", "pure2", "once"])).await;
    assert_eq!(run.head.status, RunStatus::Succeeded);
    let before = run.steps[3].output.clone().unwrap();
    assert_eq!(*before, json!([["pure", "idem"], ["pure2"], ["once"]]));
}

#[tokio::test]
async fn what_an_input_refers_to_is_durable_before_the_step_starts() {
    let store = Arc::new(CountingStore::default());
    let pure = Script::new("pure").effect(Effect::Pure).made();
    let process = Process::start(store.clone(), &[pure, Script::new("next").made()]).await;
    let refers = json!({"name": "test", "tasks": [
        {"name": "pure", "input": {"n": 4}}, {"name": "next", "input": {"n": "${tasks.pure.output.n}"}}]});
    let run = process.run(refers).await;
    assert_eq!(run.steps[1].output.as_deref(), Some(&json!({"n": 4})));
    assert_eq!(*store.written.lock().unwrap(), [["pure"], ["next"]]);
}
