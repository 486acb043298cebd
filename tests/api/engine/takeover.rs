//! Processes that die: another goes on from the last checkpoint.

use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use flow_domain::RunId;
use flow_domain::flows::outcome::Reason;
use flow_domain::flows::store::{NewRun, Worker};
use flow_domain::flows::{Effect, FlowStore, Outcome, Recovery, Run, RunStatus, StepStatus};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::{Process, Script, code, count, flow, over_both, pg_store, until, worker};
use crate::harness::TestDb;

over_both!(
    three_takeovers_at_one_step_fail_it,
    what_stops_in_good_order_is_gone_on_with_at_once,
    a_process_that_lost_its_run_goes_on_with_nothing_of_it,
);

/// A process that can be ended as by a kill: nothing of it runs any more, and it says goodbye to nobody.
struct Doomed(Option<Runtime>);

impl Doomed {
    async fn begin(db: &TestDb, tasks: &[Arc<Script>], flows: Vec<Value>) -> (Self, Vec<RunId>) {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (config, tasks) = (db.config.clone(), tasks.to_vec());
        let begun = runtime.spawn(async move {
            let store = Arc::new(super::pg_store_of(&config));
            let process = Process::start(store, &tasks).await;
            let mut ids = Vec::new();
            for flow in flows {
                ids.push(process.begin(flow).await);
            }
            // Dropping it would be a stop in good order.
            std::mem::forget(process);
            ids
        });
        let ids = begun.await.unwrap();
        (Self(Some(runtime)), ids)
    }

    fn kill(&mut self) {
        self.0.take().unwrap().shutdown_background();
    }
}

impl Drop for Doomed {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Never ends in the first process, ends at once in the next.
fn hangs_once(name: &'static str) -> Script {
    let times = AtomicUsize::new(0);
    Script::new(name).runs(move |_, _| {
        let first = times.fetch_add(1, Ordering::SeqCst) == 0;
        async move { if first { std::future::pending().await } else { Outcome::Done(json!("second")) } }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_process_drove_is_gone_on_with_and_nothing_is_done_twice() {
    let db = TestDb::new().await;
    let done = Script::new("done").made();
    let idempotent = hangs_once("idempotent").made();
    let once = |name, answer: fn() -> Recovery| hangs_once(name).effect(Effect::Once).recovers(answer).made();
    let finished = once("finished", || Recovery::Finished(json!("recovered")));
    let never = once("never", || Recovery::NeverStarted);
    let failed = once("failed", || Recovery::Failed(Reason::new("it.failed", "it had failed")));
    let asked = Arc::new(AtomicUsize::new(0));
    let running = hangs_once("running").effect(Effect::Once).recovers(move || {
        match asked.fetch_add(1, Ordering::SeqCst) {
            0 | 1 => Recovery::Running,
            _ => Recovery::Finished(json!("at last")),
        }
    });
    let running = running.made();
    let unknown =
        hangs_once("unknown").effect(Effect::Once).undoes(|_, _| async { Outcome::Done(Value::Null) });
    let unknown = unknown.made();
    let waits = Script::new("waits").runs(|context, _| async move {
        match context.waited_until {
            None => Outcome::WaitUntil(Timestamp::now() + Duration::from_millis(1500)),
            Some(_) => Outcome::Done(json!("second")),
        }
    });
    let all = [&idempotent, &finished, &never, &failed, &running, &unknown].map(Clone::clone);
    let tasks = [&all[..], &[done.clone(), waits.made()]].concat();
    let names = ["idempotent", "finished", "never", "failed", "running", "unknown", "waits"];
    let flows = names.map(|name| flow(&["done", name])).to_vec();

    let (mut doomed, ids) = Doomed::begin(&db, &tasks, flows).await;
    let heir = Process::start(Arc::new(pg_store(&db)), &tasks).await;
    until(async || all.iter().all(|task| count(&task.runs) == 1).then_some(())).await;
    doomed.kill();
    let killed = Instant::now();
    let mut runs = Vec::new();
    for id in &ids {
        runs.push(heir.ended(*id).await);
        heir.events(*id).await;
    }
    println!("seven runs of a dead process were over {:?} after its end", killed.elapsed());
    assert!(killed.elapsed() < Duration::from_secs(12), "{:?}", killed.elapsed());

    assert_eq!(count(&done.runs), names.len(), "a step with a checkpoint is never run again");
    let ended = |name: &str| &runs[names.iter().position(|known| *known == name).unwrap()];
    let output = |run: &Run| run.steps.last().unwrap().output.as_deref().cloned();
    for (name, expected) in [
        ("idempotent", "second"),
        ("never", "second"),
        ("finished", "recovered"),
        ("running", "at last"),
        ("waits", "second"),
    ] {
        assert_eq!(ended(name).head.status, RunStatus::Succeeded, "{name}");
        assert_eq!(output(ended(name)), Some(json!(expected)), "{name}");
    }
    assert_eq!((ended("failed").head.status, code(ended("failed"))), (RunStatus::Failed, "it.failed"));
    let lost = ended("unknown");
    assert_eq!((lost.head.status, code(lost), count(&unknown.undos)), (RunStatus::Undone, "step.unknown", 1));
    assert_eq!(lost.steps.last().unwrap().status, StepStatus::Unknown);
    let times = [&idempotent, &finished, &never, &failed, &running, &unknown].map(|task| count(&task.runs));
    assert_eq!(times, [2, 1, 2, 1, 1, 1], "a Once step is asked, and run again only if it never started");
    let asked =
        [&idempotent, &finished, &never, &failed, &running, &unknown].map(|task| count(&task.recoveries));
    assert_eq!(asked, [0, 1, 1, 1, 3, 1]);
}

/// An undo that its process died under is done by the next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_undo_outlives_its_process() {
    let db = TestDb::new().await;
    let times = AtomicUsize::new(0);
    let a = Script::new("a").undoes(move |_, _| {
        let first = times.fetch_add(1, Ordering::SeqCst) == 0;
        async move { if first { std::future::pending().await } else { Outcome::Done(Value::Null) } }
    });
    let (a, broken) = (a.made(), Script::new("broken").runs(|_, _| async { super::fail("broken") }).made());
    let tasks = [a.clone(), broken.clone()];
    let (mut doomed, ids) = Doomed::begin(&db, &tasks, vec![flow(&["a", "broken"])]).await;
    let heir = Process::start(Arc::new(pg_store(&db)), &tasks).await;
    until(async || (count(&a.undos) == 1).then_some(())).await;
    doomed.kill();
    let run = heir.ended(ids[0]).await;
    assert_eq!((run.head.status, code(&run)), (RunStatus::Undone, "broken"));
    assert_eq!((count(&a.undos), count(&a.runs), count(&broken.runs)), (2, 1, 1));
}

/// Owners that die at the step, whether its start was written before or not.
async fn three_takeovers_at_one_step_fail_it(store: Arc<dyn FlowStore>) {
    let deadly = Script::new("deadly").made();
    let noted = Script::new("noted").undoes(|_, _| async { Outcome::Done(Value::Null) }).made();
    let tasks = [deadly.clone(), noted.clone()];
    let process = Process::start(store.clone(), &tasks).await;
    process.engine.stop();
    let mut ids = Vec::new();
    for name in ["deadly", "noted"] {
        let definition = serde_json::from_value(flow(&[name])).unwrap();
        let definition = flow_domain::flows::Definition::resolved(definition, &Default::default());
        let start = flow_domain::flows::run::Start {
            definition_hash: definition.hash().into(),
            definition: Arc::new(definition),
            caller: process.caller.clone(),
            input: Arc::new(json!({})),
            parent: None,
        };
        let mut owner = worker(&tasks);
        store.renew(&owner).await.unwrap();
        let mut run = Run::new(start, Timestamp::now());
        run.claim(owner.id, Timestamp::now());
        store.create(NewRun { run: run.clone(), claim: true, idempotency: None }).await.unwrap();
        if name == "noted" {
            run.start_step(0, json!({}), true, Timestamp::now());
            store.checkpoint(run.checkpoint(owner.id, None)).await.unwrap();
        }
        for _ in 0..3 {
            owner = dies_and_is_followed(&store, owner, &tasks, run.id).await;
        }
        store.retire(owner.id).await.unwrap();
        ids.push(run.id);
    }
    let heir = Process::start(store, &tasks).await;
    for id in ids {
        let run = heir.ended(id).await;
        assert_eq!(code(&run), "step.crashes_process");
        assert_eq!(run.steps.last().unwrap().status, StepStatus::Unknown);
        heir.events(id).await;
    }
    assert_eq!((count(&deadly.runs), count(&noted.runs), count(&noted.undos)), (0, 0, 1));
}

async fn dies_and_is_followed(
    store: &Arc<dyn FlowStore>,
    owner: Worker,
    tasks: &[Arc<Script>],
    run: RunId,
) -> Worker {
    store.retire(owner.id).await.unwrap();
    let heir = worker(tasks);
    store.renew(&heir).await.unwrap();
    let claimed = store.claim(&heir, 100, Some(Duration::from_secs(5))).await.unwrap();
    assert!(claimed.iter().any(|claimed| claimed.id == run));
    heir
}

async fn what_stops_in_good_order_is_gone_on_with_at_once(store: Arc<dyn FlowStore>) {
    let task = hangs_once("task").policy(super::eager(1)).made();
    let first = Process::start(store.clone(), slice::from_ref(&task)).await;
    let id = first.begin(flow(&["task"])).await;
    until(async || (count(&task.runs) == 1).then_some(())).await;
    let heir = Process::start(store, slice::from_ref(&task)).await;
    let stopped = Instant::now();
    first.engine.stop();
    let run = heir.ended(id).await;
    assert_eq!((run.head.status, count(&task.runs)), (RunStatus::Succeeded, 2));
    assert!(stopped.elapsed() < Duration::from_secs(4), "no lease was waited for: {:?}", stopped.elapsed());
    let refused = first.flows.start(&first.caller, flow(&["task"]), json!({}), None).await.err().unwrap();
    assert_eq!(refused.code, "service.draining");
}

async fn a_process_that_lost_its_run_goes_on_with_nothing_of_it(store: Arc<dyn FlowStore>) {
    struct Gone(Arc<AtomicUsize>);
    impl Drop for Gone {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let gone = Arc::new(AtomicUsize::new(0));
    let held = gone.clone();
    let talks = Script::new("talks").runs(move |ctx, _| {
        let held = Gone(held.clone());
        async move {
            let _held = held;
            while !ctx.cancel.is_forced() {
                ctx.line("still here");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Outcome::Done(Value::Null)
        }
    });
    let talks = talks.made();
    let tasks = slice::from_ref(&talks);
    let process = Process::start(store.clone(), tasks).await;
    let id = process.begin(flow(&["talks"])).await;
    until(async || (count(&talks.runs) == 1).then_some(())).await;
    let heir = worker(tasks);
    store.renew(&heir).await.unwrap();
    let taken = async || {
        let claimed = store.claim(&heir, 100, Some(Duration::ZERO)).await.unwrap();
        claimed.iter().any(|run| run.id == id).then_some(())
    };
    until(taken).await;
    until(async || (gone.load(Ordering::SeqCst) == 1).then_some(())).await;
}
