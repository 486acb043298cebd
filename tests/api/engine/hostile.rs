//! Tasks that do what no task should: none of it reaches another run or the service.

use std::slice;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use flow_domain::Cancel;
use flow_domain::flows::{Effect, EventKind, FlowStore, Outcome, Policy, Reason, RunStatus};
use serde_json::{Value, json};

use super::{Notes, Process, Script, code, count, eager, flow, over_both};

over_both!(
    a_panic_is_a_failed_step,
    an_output_over_a_mebibyte_fails_its_step,
    a_flood_of_lines_is_bounded_and_told_of,
    a_task_that_ignores_its_stop_signal_is_dropped_after_its_grace,
    a_timeout_ends_a_task_that_ignores_its_stop_signal,
    text_that_cannot_be_stored_harms_nobody,
    an_undo_that_panics_is_tried_again,
    a_task_that_panics_when_asked_what_became_of_it_does_not_know,
    what_went_wrong_is_cut_to_size,
);

async fn a_panic_is_a_failed_step(store: Arc<dyn FlowStore>) {
    let notes = Notes::default();
    let panics = Script::new("panics").runs(|_, _| async { panic!("as it was told to") }).made();
    let tasks = [Script::new("first").noted(&notes).made(), panics, Script::new("other").made()];
    let process = Process::start(store, &tasks).await;
    let run = process.run(flow(&["first", "panics"])).await;
    assert_eq!((run.head.status, code(&run)), (RunStatus::Undone, "task.panicked"));
    assert!(!run.head.error.as_ref().unwrap().detail.contains("as it was told"), "the cause is for the log");
    assert_eq!(notes.all(), ["run first", "undo first"]);
    assert_eq!(process.run(flow(&["other"])).await.head.status, RunStatus::Succeeded);
}

async fn an_output_over_a_mebibyte_fails_its_step(store: Arc<dyn FlowStore>) {
    let large = |name, bytes: usize| {
        Script::new(name).runs(move |_, _| async move { Outcome::Done(json!("x".repeat(bytes))) }).made()
    };
    let tasks = [large("ten_mb", 10_000_000), large("one_mib", (1 << 20) - 2), large("over", (1 << 20) - 1)];
    let process = Process::start(store, &tasks).await;
    for name in ["ten_mb", "over"] {
        let run = process.run(flow(&[name])).await;
        assert_eq!((run.head.status, code(&run)), (RunStatus::Failed, "task.output_too_large"));
        assert_eq!(run.steps[0].output, None);
    }
    assert_eq!(process.run(flow(&["one_mib"])).await.head.status, RunStatus::Succeeded);
}

async fn a_flood_of_lines_is_bounded_and_told_of(store: Arc<dyn FlowStore>) {
    let flood = Script::new("flood").runs(|context, _| async move {
        for number in 0..100_000 {
            context.line(&format!("line {number}"));
        }
        context.line(&"long ".repeat(100_000));
        Outcome::Done(Value::Null)
    });
    let process = Process::start(store, &[flood.made()]).await;
    let run = process.run(flow(&["flood"])).await;
    assert_eq!(run.head.status, RunStatus::Succeeded);
    let events = process.events(run.id).await;
    let output = events.iter().filter(|event| event.kind == EventKind::Output);
    let lines: Vec<&str> = output
        .flat_map(|event| event.data["lines"].as_array().unwrap())
        .map(|line| line.as_str().unwrap())
        .collect();
    assert_eq!(lines[0], "line 0");
    assert!(lines.len() < 5000 && lines.iter().all(|line| line.len() <= 4096), "{} lines", lines.len());
    let left_out =
        lines.iter().filter_map(|line| line.strip_prefix('(')?.split(' ').next()?.parse::<usize>().ok());
    let notes = lines.iter().filter(|line| line.ends_with("lines left out)")).count();
    assert_eq!(lines.len() - notes + left_out.sum::<usize>(), 100_001, "every line is kept or counted");
}

async fn a_task_that_ignores_its_stop_signal_is_dropped_after_its_grace(store: Arc<dyn FlowStore>) {
    let policy = Policy { grace: Duration::from_millis(300), ..eager(1) };
    let deaf = Script::new("deaf")
        .policy(policy)
        .runs(|_, _| std::future::pending())
        .undoes(|_, _| async { Outcome::Done(Value::Null) });
    let deaf = deaf.made();
    let process = Process::start(store, slice::from_ref(&deaf)).await;
    let id = process.begin(flow(&["deaf"])).await;
    super::until(async || (count(&deaf.runs) == 1).then_some(())).await;
    let asked = Instant::now();
    process.flows.cancel(&process.caller, id, Cancel::Orderly).await.unwrap();
    let run = process.ended(id).await;
    assert!(asked.elapsed() >= Duration::from_millis(300), "it had its grace");
    assert_eq!((run.head.status, count(&deaf.undos)), (RunStatus::Cancelled, 1));
}

async fn a_timeout_ends_a_task_that_ignores_its_stop_signal(store: Arc<dyn FlowStore>) {
    let policy = Policy { timeout: Duration::from_millis(50), grace: Duration::from_millis(50), ..eager(2) };
    let deaf = Script::new("deaf")
        .policy(policy)
        .runs(|_, _| std::future::pending())
        .undoes(|_, _| async { Outcome::Done(Value::Null) });
    let deaf = deaf.made();
    let process = Process::start(store, slice::from_ref(&deaf)).await;
    let run = process.run(flow(&["deaf"])).await;
    assert_eq!((run.head.status, code(&run)), (RunStatus::Undone, "task.timed_out"));
    assert_eq!((count(&deaf.runs), count(&deaf.undos)), (2, 1));
}

async fn text_that_cannot_be_stored_harms_nobody(store: Arc<dyn FlowStore>) {
    let nul = Script::new("nul").runs(|context, _| async move {
        context.line("a\0b");
        context.progress(10, "c\0d");
        Outcome::Done(json!({"text": "e\0f"}))
    });
    let why = Script::new("why").runs(|_, _| async { super::fail("a\0b") });
    let process = Process::start(store, &[nul.made(), why.made()]).await;
    let run = process.run(flow(&["nul"])).await;
    assert!(run.head.status.is_final());
    let run = process.run(flow(&["why"])).await;
    assert_eq!(run.head.status, RunStatus::Failed);
    process.events(run.id).await;
}

async fn an_undo_that_panics_is_tried_again(store: Arc<dyn FlowStore>) {
    let panicked = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let first = Script::new("first").policy(eager(1)).undoes(move |_, _| {
        let before = panicked.swap(true, Ordering::SeqCst);
        async move {
            assert!(before, "as it was told to");
            Outcome::Done(Value::Null)
        }
    });
    let first = first.made();
    let broken = Script::new("broken").runs(|_, _| async { super::fail("broken") }).made();
    let process = Process::start(store, &[first.clone(), broken]).await;
    let run = process.run(flow(&["first", "broken"])).await;
    assert_eq!((run.head.status, count(&first.undos)), (RunStatus::Undone, 2));
}

async fn a_task_that_panics_when_asked_what_became_of_it_does_not_know(store: Arc<dyn FlowStore>) {
    let policy = Policy { timeout: Duration::from_millis(50), ..eager(1) };
    let slow = Script::new("slow")
        .effect(Effect::Once)
        .policy(policy)
        .runs(|_, _| std::future::pending())
        .recovers(|| panic!("as it was told to"));
    let process = Process::start(store, &[slow.made()]).await;
    let run = process.run(flow(&["slow"])).await;
    assert_eq!((run.head.status, code(&run)), (RunStatus::Failed, "step.unknown"));
}

async fn what_went_wrong_is_cut_to_size(store: Arc<dyn FlowStore>) {
    let wordy = Script::new("wordy")
        .runs(|_, _| async { Outcome::Fail(Reason::new("x".repeat(1 << 20), "\u{e9}".repeat(10 << 20))) });
    let process = Process::start(store, &[wordy.made()]).await;
    let run = process.run(flow(&["wordy"])).await;
    let error = run.head.error.as_ref().unwrap();
    assert_eq!(
        (run.head.status, error.code.len(), error.detail.len()),
        (RunStatus::Failed, 4 << 10, 16 << 10)
    );
}
