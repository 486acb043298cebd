use std::collections::BTreeMap;
use std::sync::Arc;

use flow_domain::flows::definition::Definition;
use flow_domain::flows::event::EventKind;
use flow_domain::flows::outcome::Reason;
use flow_domain::flows::run::{Failure, Run, RunStatus, Start};
use flow_domain::flows::secret::SecretVersion;
use flow_domain::flows::store::{Ack, Created, FlowStore, Idempotency, NewRun, Release, RunFilter, Worker};
use flow_domain::users::{Caller, Role};
use flow_domain::{RunId, UserId, WorkerId};
use flow_manager::driven::memory::MemoryFlowStore;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::harness::TestDb;

mod asking;
mod ownership;
mod watching;

#[tokio::test]
async fn memory_keeps_the_contract() {
    suite(&MemoryFlowStore::default()).await;
}

#[tokio::test]
async fn postgres_keeps_the_contract() {
    let db = TestDb::new().await;
    suite(&db.flow_store()).await;
}

async fn suite(store: &dyn FlowStore) {
    a_run_comes_back_as_it_was_stored(store).await;
    a_stale_write_is_fenced_and_changes_nothing(store).await;
    events_are_numbered_without_a_gap(store).await;
    watching::events_are_given_in_portions_of_bounded_size(store).await;
    ownership::a_released_run_is_claimed_when_its_time_has_come(store).await;
    ownership::an_abandoned_run_is_taken_over_under_a_new_epoch(store).await;
    ownership::a_process_takes_only_what_it_can_do(store).await;
    ownership::a_pinned_run_is_taken_by_its_machine_alone(store).await;
    ownership::a_retry_takes_over_the_steps_of_its_old_run_once(store).await;
    asking::a_cancel_is_told_with_the_next_checkpoint(store).await;
    asking::force_gives_away_what_a_dead_machine_holds(store).await;
    asking::undo_by_hand_waits_in_order_for_its_key(store).await;
    asking::a_cancelled_retry_waits_for_its_key(store).await;
    ownership::a_key_is_held_by_one_run_and_handed_on_in_order(store).await;
    an_idempotency_key_gives_the_same_run(store).await;
    an_ended_run_can_be_reopened_once(store).await;
    lists_are_newest_first_and_filtered(store).await;
    many_runs_at_once_are_all_stored(store).await;
}

fn definition(more: Value) -> Arc<Definition> {
    let mut flow =
        json!({"name": "pair", "tasks": [{"name": "a", "task": "noop"}, {"name": "b", "task": "noop"}]});
    flow.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Arc::new(serde_json::from_value::<Definition>(flow).unwrap().resolved(&BTreeMap::new()))
}

fn run_of(definition: Arc<Definition>) -> Run {
    let start = Start {
        definition_hash: definition.hash().into(),
        definition,
        caller: Caller { id: UserId::new(), role: Role::Learner },
        input: Arc::new(json!({"n": 1})),
        parent: None,
    };
    Run::new(start, now())
}

fn run() -> Run {
    run_of(definition(json!({})))
}

/// The database keeps microseconds.
fn now() -> Timestamp {
    Timestamp::now().round(jiff::Unit::Microsecond).unwrap()
}

fn worker() -> Worker {
    Worker {
        id: WorkerId::new(),
        host: "here".into(),
        host_id: "here".into(),
        labels: vec![],
        tasks: vec!["noop".into()],
    }
}

async fn stored(store: &dyn FlowStore, mut run: Run, owner: WorkerId) -> Run {
    run.claim(owner, now());
    let created = store.create(NewRun { run: run.clone(), claim: true, idempotency: None }).await.unwrap();
    assert!(matches!(created, Created::Stored { claimed: true }));
    run
}

async fn saved(store: &dyn FlowStore, run: &mut Run, owner: WorkerId, release: Option<Release>) -> Ack {
    store.checkpoint(run.checkpoint(owner, release)).await.unwrap()
}

async fn read(store: &dyn FlowStore, id: RunId) -> Run {
    store.run(id).await.unwrap().unwrap()
}

fn step(run: &mut Run, output: Value) {
    let cursor = run.head.cursor.unwrap();
    let position = run.start_step(cursor, json!({"i": cursor}), false, now());
    run.succeed_step(position, output, now());
}

const STORED: Ack = Ack::Stored { cancel: None };

async fn a_run_comes_back_as_it_was_stored(store: &dyn FlowStore) {
    let owner = WorkerId::new();
    let mut run = stored(store, run(), owner).await;
    step(&mut run, json!({"text": "a \"quoted\"; drop table step; -- \u{1F980}", "null": null}));
    assert_eq!(saved(store, &mut run, owner, None).await, STORED);
    let position = run.start_step(1, json!({}), true, now());
    run.fail_step(position, Failure::new(Reason::new("x.y", "it broke")), now());
    run.give(1, vec![SecretVersion { path: "db/password".into(), version: "3".into() }]);
    run.start_undo(1, now());
    run.finish_undo(1, now());
    assert_eq!(saved(store, &mut run, owner, Some(Release::Final)).await, STORED);

    let back = read(store, run.id).await;
    assert_eq!(back.head.status, RunStatus::Undone);
    assert_eq!(back.head.owner, None);
    assert_eq!((&back.head.error, back.head.event_seq), (&run.head.error, run.head.event_seq));
    assert_eq!(back.steps, run.steps);
    assert_eq!((&back.input, &back.caller, back.created_at), (&run.input, &run.caller, run.created_at));
    assert_eq!(store.run(RunId::new()).await.unwrap().map(|run| run.id), None);
}

async fn a_stale_write_is_fenced_and_changes_nothing(store: &dyn FlowStore) {
    let owner = WorkerId::new();
    let mut run = stored(store, run(), owner).await;
    let (mut behind, mut stranger, mut older) = (run.clone(), run.clone(), run.clone());
    step(&mut run, json!("right"));
    assert_eq!(saved(store, &mut run, owner, None).await, STORED);

    step(&mut behind, json!("twice"));
    assert_eq!(saved(store, &mut behind, owner, None).await, Ack::Fenced, "an old version");
    stranger.head.version = run.head.version;
    step(&mut stranger, json!("wrong"));
    assert_eq!(saved(store, &mut stranger, WorkerId::new(), None).await, Ack::Fenced, "another owner");
    older.head.version = run.head.version;
    older.head.epoch -= 1;
    step(&mut older, json!("old"));
    assert_eq!(saved(store, &mut older, owner, None).await, Ack::Fenced, "an old epoch");

    let back = read(store, run.id).await;
    assert_eq!(back.steps, run.steps);
    assert_eq!(store.events(run.id, 0, 100).await.unwrap().0.len() as i64, run.head.event_seq);
}

async fn events_are_numbered_without_a_gap(store: &dyn FlowStore) {
    let owner = WorkerId::new();
    let mut run = stored(store, run(), owner).await;
    let position = run.start_step(0, json!({}), false, now());
    run.report_progress(position, 40, "half way", now());
    run.report_output(position, &["line".to_owned()], now());
    run.retry_step(position, Reason::new("busy", "later"), now(), now());
    saved(store, &mut run, owner, None).await;
    run.wake(now());
    step(&mut run, json!(1));
    step(&mut run, json!(2));
    saved(store, &mut run, owner, Some(Release::Final)).await;

    let (events, done) = store.events(run.id, 0, 100).await.unwrap();
    let numbers: Vec<i64> = events.iter().map(|event| event.number).collect();
    assert_eq!(numbers, (1..=run.head.event_seq).collect::<Vec<_>>());
    assert!(done);
    let kinds: Vec<&str> = events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(
        kinds,
        [
            "run.queued",
            "run.running",
            "step.started",
            "progress",
            "output",
            "step.retrying",
            "run.waiting",
            "run.running",
            "step.started",
            "step.succeeded",
            "step.started",
            "step.succeeded",
            "run.succeeded"
        ]
    );
    let (rest, done) = store.events(run.id, 3, 2).await.unwrap();
    assert_eq!(rest.iter().map(|event| event.number).collect::<Vec<_>>(), [4, 5]);
    assert!(!done);
    assert_eq!(store.events(run.id, run.head.event_seq, 10).await.unwrap(), (vec![], true));
    assert_eq!(events.last().unwrap().kind, EventKind::Run(RunStatus::Succeeded));
}

async fn an_idempotency_key_gives_the_same_run(store: &dyn FlowStore) {
    let owner = WorkerId::new();
    let mut run = run();
    run.claim(owner, now());
    let key = Idempotency {
        caller: run.caller.id,
        scope: "POST /flow-manager".into(),
        key: "k1".into(),
        body_sha256: "aa".into(),
    };
    let new = |run: Run, key: &Idempotency| NewRun { run, claim: true, idempotency: Some(key.clone()) };
    let created = store.create(new(run.clone(), &key)).await.unwrap();
    assert!(matches!(created, Created::Stored { claimed: true }));
    let again = store.create(new(self::run(), &key)).await.unwrap();
    assert!(matches!(again, Created::Replayed(id) if id == run.id));
    let other_body = Idempotency { body_sha256: "bb".into(), ..key.clone() };
    assert!(matches!(store.create(new(self::run(), &other_body)).await.unwrap(), Created::KeyReused));
    let other_caller = Idempotency { caller: UserId::new(), ..key };
    assert!(matches!(store.create(new(self::run(), &other_caller)).await.unwrap(), Created::Stored { .. }));
}

async fn an_ended_run_can_be_reopened_once(store: &dyn FlowStore) {
    let owner = worker();
    let mut run = stored(store, run(), owner.id).await;
    let position = run.start_step(0, json!({}), true, now());
    run.succeed_step(position, json!(1), now());
    step(&mut run, json!(2));
    saved(store, &mut run, owner.id, Some(Release::Final)).await;
    let mut again = read(store, run.id).await;
    let mut twin = again.clone();
    assert!(again.reopen(now()));
    assert_eq!(store.reopen(again.checkpoint(owner.id, None)).await.unwrap(), STORED);
    assert!(twin.reopen(now()));
    assert_eq!(store.reopen(twin.checkpoint(owner.id, None)).await.unwrap(), Ack::Fenced);
    let claimed = store.claim(&owner, 100, None).await.unwrap();
    let mut claimed = claimed.into_iter().find(|claimed| claimed.id == run.id).unwrap();
    assert_eq!(claimed.head.status, RunStatus::Undoing);
    claimed.start_undo(0, now());
    claimed.finish_undo(0, now());
    assert_eq!(saved(store, &mut claimed, owner.id, Some(Release::Final)).await, STORED);
    let (events, done) = store.events(run.id, 0, 100).await.unwrap();
    let numbers: Vec<i64> = events.iter().map(|event| event.number).collect();
    assert_eq!(numbers, (1..=claimed.head.event_seq).collect::<Vec<_>>());
    assert!(done);
}

async fn lists_are_newest_first_and_filtered(store: &dyn FlowStore) {
    let owner = WorkerId::new();
    let mut first = stored(store, run(), owner).await;
    let mut second = run();
    second.caller = first.caller.clone();
    let second = stored(store, second, owner).await;
    step(&mut first, json!(1));
    step(&mut first, json!(2));
    saved(store, &mut first, owner, Some(Release::Final)).await;
    let mine = RunFilter { caller: Some(first.caller.id), limit: 10, ..RunFilter::default() };
    let ids = |runs: Vec<Run>| runs.iter().map(|run| run.id).collect::<Vec<_>>();
    assert_eq!(ids(store.runs(&mine).await.unwrap()), [second.id, first.id]);
    let ended = RunFilter { status: Some(RunStatus::Succeeded), ..mine.clone() };
    assert_eq!(ids(store.runs(&ended).await.unwrap()), [first.id]);
    let older = RunFilter { before: Some(second.id), ..mine.clone() };
    assert_eq!(ids(store.runs(&older).await.unwrap()), [first.id]);
    let other_flow = RunFilter { flow: Some("other".into()), ..mine };
    assert!(store.runs(&other_flow).await.unwrap().is_empty());
}

async fn many_runs_at_once_are_all_stored(store: &dyn FlowStore) {
    let owner = WorkerId::new();
    let one = async || {
        let mut run = stored(store, run(), owner).await;
        let mut stale = run.clone();
        step(&mut run, json!(1));
        assert_eq!(saved(store, &mut run, owner, None).await, STORED);
        step(&mut stale, json!("late"));
        assert_eq!(saved(store, &mut stale, owner, None).await, Ack::Fenced);
        // Stored when it starts, and again when it ends.
        let position = run.start_step(1, json!({}), true, now());
        assert_eq!(saved(store, &mut run, owner, None).await, STORED);
        run.report_progress(position, 50, "half", now());
        run.succeed_step(position, json!(2), now());
        assert_eq!(saved(store, &mut run, owner, Some(Release::Final)).await, STORED);
        run
    };
    let runs = futures_util::future::join_all((0..100).map(|_| one())).await;
    for run in runs {
        assert_eq!(read(store, run.id).await.steps, run.steps);
    }
}
