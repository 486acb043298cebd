//! Cancels by force: no grace, and what a dead machine holds is given up.

use std::slice;
use std::sync::Arc;
use std::time::Duration;

use flow_domain::flows::run::{Run, Start};
use flow_domain::flows::store::{NewRun, Worker};
use flow_domain::flows::why::BlockedBy;
use flow_domain::flows::{Definition, FlowStore, Outcome, Policy, Recovery, RunStatus, StepStatus};
use flow_domain::users::{Caller, Role};
use flow_domain::{Cancel, RunId};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Notes, Process, Script, count, eager, fail, flow, over_both, until, worker};

over_both!(
    force_reaches_a_task_in_its_grace,
    force_drops_a_task_that_does_not_listen,
    force_leaves_a_task_behind_that_never_yields,
    force_ends_what_a_task_says_still_goes,
    force_gives_up_what_a_dead_machine_holds,
    only_operators_force,
);

/// No test waits for it.
fn patient() -> Policy {
    Policy { grace: Duration::from_secs(24 * 3600), ..eager(1) }
}

fn calls(why: &flow_domain::flows::why::Why) -> Vec<&str> {
    why.can_do.iter().map(|call| call.rsplit('/').next().unwrap()).collect()
}

async fn force_reaches_a_task_in_its_grace(store: Arc<dyn FlowStore>) {
    let notes = Notes::default();
    let heard = notes.clone();
    let tidy = Script::new("tidy").policy(patient()).runs(move |context, _| {
        let heard = heard.clone();
        async move {
            context.cancel.cancelled().await;
            heard.add("asked");
            context.cancel.forced().await;
            heard.add("forced");
            fail("told.to.stop")
        }
    });
    let tidy = tidy.made();
    let tasks = [Script::new("first").noted(&notes).made(), tidy.clone()];
    let process = Process::start(store, &tasks).await;
    let id = process.begin(flow(&["first", "tidy"])).await;
    until(async || (count(&tidy.runs) == 1).then_some(())).await;
    process.flows.cancel(&process.caller, id, Cancel::Orderly).await.unwrap();
    until(async || notes.all().contains(&"asked".to_owned()).then_some(())).await;
    let why = process.flows.why(&process.caller, id).await.unwrap();
    assert_eq!(calls(&why), ["cancel", "cancel?force=true"]);
    assert!(why.sentence.contains("told to stop"), "{}", why.sentence);
    process.flows.cancel(&process.caller, id, Cancel::Forced).await.unwrap();
    assert_eq!(process.ended(id).await.head.status, RunStatus::Cancelled);
    assert_eq!(notes.all(), ["run first", "asked", "forced", "undo first"]);
}

async fn force_drops_a_task_that_does_not_listen(store: Arc<dyn FlowStore>) {
    let deaf = Script::new("deaf")
        .policy(patient())
        .runs(|_, _| std::future::pending())
        .undoes(|_, _| async { Outcome::Done(Value::Null) });
    let deaf = deaf.made();
    let process = Process::start(store, slice::from_ref(&deaf)).await;
    let id = process.begin(flow(&["deaf"])).await;
    until(async || (count(&deaf.runs) == 1).then_some(())).await;
    process.flows.cancel(&process.caller, id, Cancel::Forced).await.unwrap();
    assert_eq!((process.ended(id).await.head.status, count(&deaf.undos)), (RunStatus::Cancelled, 1));
}

async fn force_leaves_a_task_behind_that_never_yields(store: Arc<dyn FlowStore>) {
    let (leave, stay) = std::sync::mpsc::channel::<()>();
    let stay = Arc::new(std::sync::Mutex::new(stay));
    let stuck = Script::new("stuck").policy(eager(1)).runs(move |_, _| {
        let stay = stay.clone();
        // Never an await, though without a thread of the runtime: the others have theirs.
        async move {
            tokio::task::block_in_place(|| stay.lock().unwrap().recv().is_ok());
            Outcome::Done(Value::Null)
        }
    });
    let stuck = stuck.undoes(|_, _| async { Outcome::Done(Value::Null) }).made();
    let process = Process::start(store, slice::from_ref(&stuck)).await;
    let id = process.begin(flow(&["stuck"])).await;
    until(async || (count(&stuck.runs) == 1).then_some(())).await;
    process.flows.cancel(&process.caller, id, Cancel::Orderly).await.unwrap();
    let why = until(async || {
        let why = process.flows.why(&process.caller, id).await.unwrap();
        why.sentence.contains("does not yield").then_some(why)
    })
    .await;
    assert!(why.sentence.contains("\"stuck\""), "{}", why.sentence);
    assert_eq!((why.status, calls(&why)), (RunStatus::Running, vec!["cancel", "cancel?force=true"]));
    process.flows.cancel(&process.caller, id, Cancel::Forced).await.unwrap();
    let run = process.ended(id).await;
    assert_eq!((run.head.status, run.steps[0].status), (RunStatus::Cancelled, StepStatus::Unknown));
    assert_eq!(run.steps[0].error.as_ref().unwrap().code, "step.abandoned");
    assert_eq!(count(&stuck.undos), 1);
    leave.send(()).unwrap();
}

/// A task that recovers by saying that it still goes, whatever it is told.
async fn force_ends_what_a_task_says_still_goes(store: Arc<dyn FlowStore>) {
    let goes =
        Script::new("goes").effect(flow_domain::flows::Effect::Once).recovers(|| Recovery::Running).made();
    let run = left_running(&store, slice::from_ref(&goes), "here").await;
    let process = Process::start(store, slice::from_ref(&goes)).await;
    until(async || (count(&goes.recoveries) > 0).then_some(())).await;
    process.flows.cancel(&process.caller, run, Cancel::Forced).await.unwrap();
    let run = process.ended(run).await;
    assert_eq!((run.head.status, run.steps[0].status), (RunStatus::Cancelled, StepStatus::Unknown));
    assert_eq!(count(&goes.runs), 0);
}

/// A run of these tasks as a process leaves it that dies with its machine during the last of them.
async fn left_running(store: &Arc<dyn FlowStore>, tasks: &[Arc<Script>], host: &str) -> RunId {
    let names: Vec<&str> = tasks.iter().map(|task| flow_domain::flows::Task::name(&**task)).collect();
    let definition: Definition = serde_json::from_value(flow(&names)).unwrap();
    let definition = definition.resolved(&Default::default());
    let start = Start {
        definition_hash: definition.hash().into(),
        definition: Arc::new(definition),
        caller: Caller { id: flow_domain::UserId::new(), role: Role::Learner },
        input: Arc::new(json!({})),
        parent: None,
    };
    let owner = Worker { host_id: host.into(), ..worker(tasks) };
    store.renew(&owner).await.unwrap();
    let mut run = Run::new(start, Timestamp::now());
    run.claim(owner.id, Timestamp::now());
    store.create(NewRun { run: run.clone(), claim: true, idempotency: None }).await.unwrap();
    for (index, _) in names.iter().enumerate() {
        let position = run.start_step(index, json!({}), true, Timestamp::now());
        if index + 1 < names.len() {
            run.succeed_step(position, json!(index), Timestamp::now());
        }
    }
    run.pin(host);
    store.checkpoint(run.checkpoint(owner.id, None)).await.unwrap();
    store.retire(owner.id).await.unwrap();
    run.id
}

async fn force_gives_up_what_a_dead_machine_holds(store: Arc<dyn FlowStore>) {
    let notes = Notes::default();
    let tasks = ["first", "there"].map(|name| Script::new(name).noted(&notes).pinned().made());
    let run = left_running(&store, &tasks, "a machine that is gone").await;
    let process = Process::start(store, &tasks).await;
    // An ordinary cancel waits for the machine.
    process.flows.cancel(&process.caller, run, Cancel::Orderly).await.unwrap();
    until(async || process.engine.lease().may_judge().then_some(())).await;
    let before = process.flows.why(&process.caller, run).await.unwrap();
    assert_eq!((before.status, before.blocked_by.as_ref()), (RunStatus::Running, Some(&BlockedBy::Host)));
    assert_eq!(calls(&before), ["cancel", "cancel?force=true"]);
    let owner = Caller { role: Role::Learner, ..process.read(run).await.caller };
    assert_eq!(
        calls(&process.flows.why(&owner, run).await.unwrap()),
        ["cancel"],
        "a learner cannot force it"
    );

    process.flows.cancel(&process.caller, run, Cancel::Forced).await.unwrap();
    let ended = process.ended(run).await;
    let statuses: Vec<_> = ended.steps.iter().map(|step| step.status).collect();
    assert_eq!(
        (ended.head.status, statuses),
        (RunStatus::Cancelled, vec![StepStatus::Succeeded, StepStatus::Unknown])
    );
    assert_eq!(ended.steps[1].error.as_ref().unwrap().code, "step.host_lost");
    assert_eq!(
        notes.all(),
        ["undo there", "undo first"],
        "all that started is taken back, and nothing is run"
    );
    let after = process.flows.why(&process.caller, run).await.unwrap();
    assert!(after.sentence.contains("\"there\": its machine is gone"), "{}", after.sentence);
    process.events(run).await;
}

async fn only_operators_force(store: Arc<dyn FlowStore>) {
    let process = Process::start(store, &[Script::new("a").made()]).await;
    let run = process.run(flow(&["a"])).await;
    let learner = Caller { role: Role::Learner, ..process.caller.clone() };
    let refused = process.flows.cancel(&learner, run.id, Cancel::Forced).await.unwrap_err();
    assert_eq!(refused.code, "run.force_forbidden");
    let over = process.flows.cancel(&process.caller, run.id, Cancel::Forced).await.unwrap_err();
    assert_eq!(over.code, "run.over");
}
