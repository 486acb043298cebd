//! Limits on how many runs go on at once, and pauses.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use flow_domain::flows::store::Standing;
use flow_domain::flows::why::{BlockedBy, Why};
use flow_domain::flows::{FlowStore, Gate, Outcome, RunStatus};
use flow_domain::{Cancel, RunId};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{Process, Script, count, fail, flow, over_both, until, with};

over_both!(
    a_flow_goes_on_so_often_at_once_and_the_others_in_order,
    the_service_is_limited_too_and_a_key_comes_first,
    a_place_is_given_back_by_a_cancel_a_failure_and_a_waiting_run,
    a_raised_limit_lets_those_go_on_that_wait,
    a_paused_flow_starts_no_step_until_it_is_resumed,
    a_pause_holds_a_started_run_and_lets_it_be_cancelled_and_taken_back,
    another_process_hears_of_a_pause,
    many_at_once_all_end_and_keep_no_place,
);

/// A task that waits for a permit and counts how many of it are under way.
fn gated(gate: &Arc<Semaphore>) -> (Arc<Script>, Arc<AtomicUsize>) {
    let (gate, most) = (gate.clone(), Arc::new(AtomicUsize::new(0)));
    let (now, seen) = (Arc::new(AtomicUsize::new(0)), most.clone());
    let script = Script::new("gated").runs(move |_, _| {
        let (gate, now, seen) = (gate.clone(), now.clone(), seen.clone());
        async move {
            seen.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            gate.acquire().await.unwrap().forget();
            now.fetch_sub(1, Ordering::SeqCst);
            Outcome::Done(Value::Null)
        }
    });
    (script.made(), most)
}

fn named(name: &str, more: Value) -> Value {
    with(with(flow(&["gated"]), json!({"name": name})), more)
}

async fn asked(process: &Process, id: RunId) -> Why {
    process.flows.why(&process.caller, id).await.unwrap()
}

async fn begun(task: &Script, how_many: usize) {
    until(async || (count(&task.runs) == how_many).then_some(())).await;
}

async fn a_flow_goes_on_so_often_at_once_and_the_others_in_order(store: Arc<dyn FlowStore>) {
    let gate = Arc::new(Semaphore::new(0));
    let (task, most) = gated(&gate);
    let process = Process::start(store.clone(), std::slice::from_ref(&task)).await;
    let other = Process::start(store, std::slice::from_ref(&task)).await;
    let mut ids = Vec::new();
    for index in 0..8 {
        let starter = if index % 2 == 0 { &process } else { &other };
        ids.push(starter.begin(named("few", json!({"at_once": 2}))).await);
    }
    begun(&task, 2).await;
    let why = asked(&process, ids[4]).await;
    assert_eq!(why.blocked_by, Some(BlockedBy::Limit { flow: Some("few".into()), at_once: 2, ahead: 2 }));
    assert!(
        why.sentence.contains("At most 2 runs of this flow") && why.sentence.contains("2 more"),
        "{why:?}"
    );
    // Another flow is not held up.
    let free = process.begin(named("many", json!({}))).await;
    begun(&task, 3).await;
    gate.add_permits(3);
    for id in [free, ids[0], ids[1]] {
        process.ended(id).await;
    }
    begun(&task, 5).await;
    for (index, id) in ids.iter().enumerate() {
        let status = process.read(*id).await.head.status;
        let wanted = [RunStatus::Succeeded, RunStatus::Running, RunStatus::Queued][(index / 2).min(2)];
        assert_eq!(status, wanted, "the {index}th");
    }
    gate.add_permits(6);
    for id in ids {
        assert_eq!(process.ended(id).await.head.status, RunStatus::Succeeded);
    }
    assert_eq!(most.load(Ordering::SeqCst), 3, "two of the one and one of the other");
}

async fn the_service_is_limited_too_and_a_key_comes_first(store: Arc<dyn FlowStore>) {
    let gate = Arc::new(Semaphore::new(0));
    let (task, most) = gated(&gate);
    let process = Process::start(store, std::slice::from_ref(&task)).await;
    process.flows.set_limits(Some(2)).await.unwrap();
    let keyed = || named("keyed", json!({"concurrency_key": "k"}));
    let first = process.begin(keyed()).await;
    // It waits for the key and takes no place, so the next one goes on.
    let second = process.begin(keyed()).await;
    let third = process.begin(named("plain", json!({}))).await;
    begun(&task, 2).await;
    let fourth = process.begin(named("plain", json!({}))).await;
    let limit = |ahead| Some(BlockedBy::Limit { flow: None, at_once: 2, ahead });
    assert_eq!(asked(&process, fourth).await.blocked_by, limit(0));
    assert!(matches!(asked(&process, second).await.blocked_by, Some(BlockedBy::ConcurrencyKey { .. })));
    gate.add_permits(1);
    until(async || {
        let ended = [process.read(first).await, process.read(third).await];
        ended.iter().any(|run| run.head.status.is_final()).then_some(())
    })
    .await;
    begun(&task, 3).await;
    gate.add_permits(3);
    for id in [first, second, third, fourth] {
        assert_eq!(process.ended(id).await.head.status, RunStatus::Succeeded);
    }
    assert_eq!(most.load(Ordering::SeqCst), 2);
}

async fn a_place_is_given_back_by_a_cancel_a_failure_and_a_waiting_run(store: Arc<dyn FlowStore>) {
    let gate = Arc::new(Semaphore::new(0));
    let (task, _) = gated(&gate);
    let broken = Script::new("broken").runs(|_, _| async { fail("it.broke") }).made();
    let kept = Script::new("kept").undoes(|_, _| async { Outcome::Done(Value::Null) }).made();
    let process = Process::start(store, &[task.clone(), broken, kept]).await;
    let one = |steps: &[&str]| with(flow(steps), json!({"at_once": 1}));
    let running = process.begin(one(&["gated"])).await;
    let waiting = process.begin(one(&["gated"])).await;
    let undone = process.begin(one(&["kept", "broken"])).await;
    let last = process.begin(one(&["kept"])).await;
    begun(&task, 1).await;
    process.flows.cancel(&process.caller, waiting, Cancel::Orderly).await.unwrap();
    assert_eq!(process.ended(waiting).await.head.status, RunStatus::Cancelled);
    assert_eq!(
        asked(&process, undone).await.blocked_by,
        Some(BlockedBy::Limit { flow: Some("test".into()), at_once: 1, ahead: 0 })
    );
    process.flows.cancel(&process.caller, running, Cancel::Orderly).await.unwrap();
    assert_eq!(process.ended(running).await.head.status, RunStatus::Cancelled);
    assert_eq!(process.ended(undone).await.head.status, RunStatus::Undone);
    assert_eq!(process.ended(last).await.head.status, RunStatus::Succeeded);
    // Taken back by hand, a run takes its place again: it waits for the one that has it.
    let holder = process.begin(one(&["gated"])).await;
    begun(&task, 2).await;
    process.flows.undo(&process.caller, last).await.unwrap();
    assert!(matches!(asked(&process, last).await.blocked_by, Some(BlockedBy::Limit { .. })));
    gate.add_permits(1);
    process.ended(holder).await;
    assert_eq!(process.ended(last).await.head.status, RunStatus::Undone);
    let standing: Standing = process.store.standing(&process.read(last).await).await.unwrap();
    assert_eq!(standing.limit, None);
}

async fn a_raised_limit_lets_those_go_on_that_wait(store: Arc<dyn FlowStore>) {
    let gate = Arc::new(Semaphore::new(0));
    let (task, _) = gated(&gate);
    let process = Process::start(store, std::slice::from_ref(&task)).await;
    for _ in 0..6 {
        process.begin(named("few", json!({"at_once": 1}))).await;
    }
    begun(&task, 1).await;
    process.store.set_limits(&[(Gate::Flow("few".into()), Some(3))]).await.unwrap();
    begun(&task, 3).await;
    process.store.set_limits(&[(Gate::Flow("few".into()), None)]).await.unwrap();
    begun(&task, 6).await;
    gate.add_permits(6);
}

async fn a_paused_flow_starts_no_step_until_it_is_resumed(store: Arc<dyn FlowStore>) {
    let ok = Script::new("ok").made();
    let flows = vec![with(flow(&["ok"]), json!({"name": "held"}))];
    let process = Process::start_with(store, std::slice::from_ref(&ok), 64, flows).await;
    let (caller, held) = (&process.caller, Gate::Flow("held".into()));
    let unknown = process.flows.pause(caller, Gate::Flow("nothing".into()), None).await.unwrap_err();
    assert_eq!(unknown.code, "flow.unknown");
    let pause = process.flows.pause(caller, held.clone(), Some("moving house".into())).await.unwrap();
    let again = process.flows.pause(caller, held.clone(), Some("again".into())).await.unwrap();
    assert_eq!(pause, again, "the first stands");
    let waiting = process.begin(json!("held")).await;
    let free = process.run(flow(&["ok"])).await;
    assert_eq!(free.head.status, RunStatus::Succeeded);
    let why = asked(&process, waiting).await;
    assert_eq!(why.status, RunStatus::Queued);
    assert!(
        matches!(&why.blocked_by, Some(BlockedBy::Paused { flow: Some(name), by, .. }) if name == "held" && *by == caller.id)
    );
    for word in ["\"held\" has been paused since", &caller.id.to_string(), "moving house"] {
        assert!(why.sentence.contains(word), "{}", why.sentence);
    }
    assert!(why.can_do.contains(&"POST /flow-manager/flows/held/resume".to_owned()), "{:?}", why.can_do);
    assert_eq!(process.flows.pauses().await.unwrap(), [(pause, 0)]);
    assert_eq!(count(&ok.runs), 1);
    assert!(process.flows.resume(caller, &held).await.unwrap());
    assert!(!process.flows.resume(caller, &held).await.unwrap());
    assert_eq!(process.ended(waiting).await.head.status, RunStatus::Succeeded);
    assert_eq!(process.flows.pauses().await.unwrap(), []);
}

async fn a_pause_holds_a_started_run_and_lets_it_be_cancelled_and_taken_back(store: Arc<dyn FlowStore>) {
    let gate = Arc::new(Semaphore::new(0));
    let (task, _) = gated(&gate);
    let after = Script::new("after").made();
    let kept = Script::new("kept").undoes(|_, _| async { Outcome::Done(Value::Null) }).made();
    let process = Process::start(store, &[task.clone(), after.clone(), kept.clone()]).await;
    let steps = || flow(&["kept", "gated", "after"]);
    let (goes_on, cancelled) = (process.begin(steps()).await, process.begin(steps()).await);
    begun(&task, 2).await;
    process.flows.pause(&process.caller, Gate::Service, None).await.unwrap();
    let why = asked(&process, goes_on).await;
    assert!(why.blocked_by.is_none() && why.sentence.contains("no new step starts"), "{}", why.sentence);
    assert_eq!(process.flows.pauses().await.unwrap()[0].1, 2);
    // Running steps end, and no other starts.
    gate.add_permits(2);
    for id in [goes_on, cancelled] {
        process.seen(id, |run| run.head.status == RunStatus::Waiting).await;
        let why = asked(&process, id).await;
        assert!(matches!(why.blocked_by, Some(BlockedBy::Paused { flow: None, .. })), "{why:?}");
        assert!(why.can_do.contains(&"POST /flow-manager/resume".to_owned()));
    }
    assert_eq!(process.flows.pauses().await.unwrap()[0].1, 0, "nothing is under way any more");
    assert_eq!(process.events(goes_on).await.last().unwrap().data, json!({"reason": "paused"}));
    process.flows.cancel(&process.caller, cancelled, Cancel::Orderly).await.unwrap();
    assert_eq!(process.ended(cancelled).await.head.status, RunStatus::Cancelled);
    assert_eq!((count(&after.runs), count(&kept.undos)), (0, 1));
    process.flows.resume(&process.caller, &Gate::Service).await.unwrap();
    assert_eq!(process.ended(goes_on).await.head.status, RunStatus::Succeeded);
    assert_eq!((count(&task.runs), count(&after.runs)), (2, 1));
}

async fn another_process_hears_of_a_pause(store: Arc<dyn FlowStore>) {
    let gate = Arc::new(Semaphore::new(0));
    let (task, _) = gated(&gate);
    let process = Process::start(store.clone(), std::slice::from_ref(&task)).await;
    let id = process.begin(named("one", json!({}))).await;
    begun(&task, 1).await;
    // By a process that only takes requests, and is gone by the time the step ends.
    let asking = Process::start(store, &[]).await;
    asking.flows.pause(&process.caller, Gate::Service, None).await.unwrap();
    drop(asking);
    until(async || (!process.engine.pauses().is_empty()).then_some(())).await;
    let held = process.begin(named("two", json!({}))).await;
    gate.add_permits(2);
    process.ended(id).await;
    assert_eq!(process.read(held).await.head.status, RunStatus::Queued);
    process.flows.resume(&process.caller, &Gate::Service).await.unwrap();
    assert_eq!(process.ended(held).await.head.status, RunStatus::Succeeded);
}

async fn many_at_once_all_end_and_keep_no_place(store: Arc<dyn FlowStore>) {
    let ok = Script::new("gated").made();
    let broken = Script::new("broken").runs(|_, _| async { fail("it.broke") }).made();
    let kept = Script::new("kept").undoes(|_, _| async { Outcome::Done(Value::Null) }).made();
    let tasks = [ok, broken, kept];
    let processes =
        [Process::start(store.clone(), &tasks).await, Process::start(store.clone(), &tasks).await];
    processes[0].flows.set_limits(Some(5)).await.unwrap();
    let one = async |index: usize| {
        let process = &processes[index % 2];
        let steps: &[&str] = if index.is_multiple_of(5) { &["kept", "broken"] } else { &["kept", "gated"] };
        let more = match index % 3 {
            0 => json!({"at_once": 2, "name": "two"}),
            1 => json!({"at_once": 3, "name": "three", "concurrency_key": format!("k{}", index % 4)}),
            _ => json!({}),
        };
        let id = process.begin(with(flow(steps), more)).await;
        if index.is_multiple_of(7) {
            // Whichever comes first.
            let _ = processes[(index + 1) % 2].flows.cancel(&process.caller, id, Cancel::Orderly).await;
        }
        id
    };
    let ids = futures_util::future::join_all((0..120).map(one)).await;
    for id in ids {
        processes[0].ended(id).await;
    }
    // With one place in all, two more go on one after the other: no place is kept by anybody.
    processes[0].flows.set_limits(Some(1)).await.unwrap();
    for name in ["two", "three"] {
        let run = processes[1].run(named(name, json!({"at_once": 1}))).await;
        assert_eq!(run.head.status, RunStatus::Succeeded);
    }
}
