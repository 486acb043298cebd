//! Taking back: which steps, in which order, and what happens when an undo fails.

use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use flow_domain::flows::why::BlockedBy;
use flow_domain::flows::{Cause, FlowStore, Outcome, Reason, RunStatus, UndoStatus};
use serde_json::{Value, json};

use super::{Notes, Process, Script, code, count, eager, fail, flow, over_both, retry, with};

over_both!(
    every_started_step_is_undone_once_in_reverse,
    a_clean_failure_is_not_undone,
    on_failure_stop_leaves_what_was_done,
    an_undo_that_fails_twice_succeeds_in_the_end,
    an_undo_that_gives_up_is_gone_on_with_by_hand,
    a_succeeded_run_is_taken_back_by_hand_once,
    a_step_with_several_attempts_is_undone_once,
    an_undo_by_hand_waits_for_its_key,
);

async fn every_started_step_is_undone_once_in_reverse(store: Arc<dyn FlowStore>) {
    let notes = Notes::default();
    let (runs, undos) = (notes.clone(), notes.clone());
    let half = Script::new("half").runs(move |_, _| {
        runs.add("run half");
        async { fail("half.way") }
    });
    let half = half.undoes(move |_, _| {
        undos.add("undo half");
        async { Outcome::Done(Value::Null) }
    });
    let tasks = [
        Script::new("b").noted(&notes).made(),
        Script::new("a").noted(&notes).made(),
        Script::new("plain").made(),
        half.made(),
        Script::new("never").noted(&notes).made(),
    ];
    let process = Process::start(store, &tasks).await;
    // The order of the ledger counts, which a start_task and conditions make another than the definition's.
    let jumps = json!({"start_task": "a", "conditions": [
        {"name": "1", "source_task": "a", "outcome": "success", "target_task_success": "b", "target_task_failure": "end"},
        {"name": "2", "source_task": "b", "outcome": "success", "target_task_success": "plain", "target_task_failure": "end"}]});
    let run = process.run(with(flow(&["b", "a", "plain", "half", "never"]), jumps)).await;
    assert_eq!((run.head.status, run.head.cause), (RunStatus::Undone, Some(Cause::Failure)));
    assert_eq!(code(&run), "half.way");
    assert_eq!(notes.all(), ["run a", "run b", "run half", "undo half", "undo b", "undo a"]);
    let undone: Vec<_> = run.steps.iter().map(|step| (step.name.as_str(), step.undo)).collect();
    let (done, none) = (UndoStatus::Done, UndoStatus::None);
    assert_eq!(undone, [("a", done), ("b", done), ("plain", none), ("half", done)]);
    let kinds = process.kinds(run.id).await;
    assert_eq!(kinds.iter().filter(|kind| **kind == "undo.done").count(), 3);
    assert_eq!(kinds.last(), Some(&"run.undone"));
}

async fn a_clean_failure_is_not_undone(store: Arc<dyn FlowStore>) {
    let clean = Script::new("clean")
        .runs(|_, _| async { Outcome::FailClean(Reason::new("not.even.begun", "nothing was changed")) })
        .undoes(|_, _| async { Outcome::Done(Value::Null) });
    let clean = clean.made();
    let process = Process::start(store, slice::from_ref(&clean)).await;
    let run = process.run(flow(&["clean"])).await;
    assert_eq!((run.head.status, count(&clean.undos)), (RunStatus::Failed, 0));
}

async fn on_failure_stop_leaves_what_was_done(store: Arc<dyn FlowStore>) {
    let notes = Notes::default();
    let broken = Script::new("broken").runs(|_, _| async { fail("broken") }).made();
    let process = Process::start(store, &[Script::new("a").noted(&notes).made(), broken]).await;
    let run = process.run(with(flow(&["a", "broken"]), json!({"on_failure": "stop"}))).await;
    assert_eq!((run.head.status, run.steps[0].undo), (RunStatus::Failed, UndoStatus::None));
    assert_eq!(notes.all(), ["run a"]);
    // An operator may still take it back.
    process.flows.undo(&process.caller, run.id).await.unwrap();
    let run = process.ended(run.id).await;
    assert_eq!((run.head.status, notes.all().len()), (RunStatus::Undone, 2));
}

async fn an_undo_that_fails_twice_succeeds_in_the_end(store: Arc<dyn FlowStore>) {
    let times = Arc::new(AtomicUsize::new(0));
    let a = Script::new("a").policy(eager(1)).undoes(move |context, _| {
        let time = times.fetch_add(1, Ordering::SeqCst);
        assert_eq!(context.step, "a");
        async move { if time < 2 { retry("undo.busy") } else { Outcome::Done(Value::Null) } }
    });
    let a = a.made();
    let broken = Script::new("broken").runs(|_, _| async { fail("broken") }).made();
    let process = Process::start(store, &[a.clone(), broken]).await;
    let run = process.run(flow(&["a", "broken"])).await;
    assert_eq!((run.head.status, count(&a.undos)), (RunStatus::Undone, 3));
    assert_eq!((run.steps[0].undo, run.steps[0].undo_attempt), (UndoStatus::Done, 3));
    assert_eq!(run.steps[0].undo_error, None);
    let kinds = process.kinds(run.id).await;
    assert_eq!(kinds.iter().filter(|kind| **kind == "undo.failed").count(), 2);
}

async fn an_undo_that_gives_up_is_gone_on_with_by_hand(store: Arc<dyn FlowStore>) {
    let (notes, mended) = (Notes::default(), Arc::new(AtomicBool::new(false)));
    let now = mended.clone();
    let stuck = Script::new("stuck").policy(eager(1)).undoes(move |_, _| {
        let mended = now.load(Ordering::SeqCst);
        async move { if mended { Outcome::Done(Value::Null) } else { fail("still.stuck") } }
    });
    let stuck = stuck.made();
    let broken = Script::new("broken").runs(|_, _| async { fail("broken") }).made();
    let process =
        Process::start(store, &[Script::new("a").noted(&notes).made(), stuck.clone(), broken]).await;
    let run = process.run(flow(&["a", "stuck", "broken"])).await;
    assert_eq!((run.head.status, code(&run)), (RunStatus::UndoFailed, "run.undo_failed"));
    assert_eq!(run.head.error.as_ref().unwrap().step.as_deref(), Some("stuck"));
    assert_eq!((run.steps[0].undo, run.steps[1].undo), (UndoStatus::Pending, UndoStatus::Failed));
    assert_eq!((count(&stuck.undos), notes.all().len()), (3, 1));

    let again = process.flows.undo(&process.caller, run.id).await.unwrap();
    assert!(!again.head.status.is_final() || again.head.status == RunStatus::UndoFailed);
    let run = process.seen(run.id, |run| run.head.status.is_final() && run.steps[1].undo_attempt == 3).await;
    assert_eq!((run.head.status, count(&stuck.undos)), (RunStatus::UndoFailed, 6));

    mended.store(true, Ordering::SeqCst);
    process.flows.undo(&process.caller, run.id).await.unwrap();
    let run = process.ended(run.id).await;
    assert_eq!((run.head.status, count(&stuck.undos)), (RunStatus::Undone, 7));
    assert_eq!(notes.all(), ["run a", "undo a"]);
    assert_eq!(code(&run), "broken", "what it failed of is told again once it is taken back");
    process.events(run.id).await;
}

async fn a_succeeded_run_is_taken_back_by_hand_once(store: Arc<dyn FlowStore>) {
    let notes = Notes::default();
    let tasks = ["a", "b"].map(|name| Script::new(name).noted(&notes).made());
    let process = Process::start(store, &tasks).await;
    let run = process.run(flow(&["a", "b"])).await;
    assert_eq!(run.head.status, RunStatus::Succeeded);
    let both = tokio::join!(
        process.flows.undo(&process.caller, run.id),
        process.flows.undo(&process.caller, run.id)
    );
    assert!(both.0.is_ok() || both.1.is_ok());
    let run = process.seen(run.id, |run| run.head.status == RunStatus::Undone).await;
    assert_eq!(notes.all(), ["run a", "run b", "undo b", "undo a"]);
    let refused = process.flows.undo(&process.caller, run.id).await.unwrap_err();
    assert_eq!(refused.code, "run.not_undoable");
    let kinds = process.kinds(run.id).await;
    assert_eq!(
        kinds.iter().filter(|kind| kind.starts_with("run.")).collect::<Vec<_>>(),
        [&"run.queued", &"run.running", &"run.succeeded", &"run.undoing", &"run.undone"]
    );
}

async fn a_step_with_several_attempts_is_undone_once(store: Arc<dyn FlowStore>) {
    let busy = Script::new("busy")
        .policy(eager(3))
        .runs(|_, _| async { retry("busy") })
        .undoes(|_, _| async { Outcome::Done(Value::Null) });
    let busy = busy.made();
    let process = Process::start(store, slice::from_ref(&busy)).await;
    let run = process.run(flow(&["busy"])).await;
    assert_eq!((run.head.status, count(&busy.runs), count(&busy.undos)), (RunStatus::Undone, 3, 1));
}

async fn an_undo_by_hand_waits_for_its_key(store: Arc<dyn FlowStore>) {
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let (notes, door) = (Notes::default(), gate.clone());
    let holds = Script::new("holds").runs(move |_, _| {
        let door = door.clone();
        async move {
            let _ = door.acquire().await;
            Outcome::Done(Value::Null)
        }
    });
    let process = Process::start(store, &[Script::new("a").noted(&notes).made(), holds.made()]).await;
    let keyed = |step| with(flow(&[step]), json!({"concurrency_key": "one"}));
    let old = process.run(keyed("a")).await;
    let holder = process.begin(keyed("holds")).await;
    process.flows.undo(&process.caller, old.id).await.unwrap();
    let behind = process.begin(keyed("a")).await;
    let why = process.flows.why(&process.caller, old.id).await.unwrap();
    let blocked = BlockedBy::ConcurrencyKey { key: "one".into(), run: Some(holder), ahead: 0 };
    assert_eq!((why.status, why.blocked_by), (RunStatus::Undoing, Some(blocked)));
    assert!(why.sentence.contains("next for the key \"one\""), "{}", why.sentence);
    assert_eq!(notes.all(), ["run a"]);
    gate.add_permits(1);
    assert_eq!(process.ended(old.id).await.head.status, RunStatus::Undone);
    assert_eq!(process.ended(behind).await.head.status, RunStatus::Succeeded);
    assert_eq!(notes.all(), ["run a", "undo a", "run a"]);
}
