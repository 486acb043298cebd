//! Stores that say no and signals that are not heard: a run still has a driver who knows what is asked of it.

use std::slice;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use flow_domain::Cancel;
use flow_domain::flows::{FlowStore, Outcome, RunStatus, UndoStatus};
use serde_json::{Value, json};

use super::counting::CountingStore;
use super::{Process, Script, code, count, eager, fail, flow, pg_store, until};
use crate::faults::connect;
use crate::harness::TestDb;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_told_while_nobody_listened_is_heard_after_the_reconnection() {
    let db = TestDb::new().await;
    let busy = Script::new("busy").policy(eager(1)).runs(|context, _| async move {
        // It writes nothing, so no checkpoint brings the news.
        context.cancel.cancelled().await;
        fail("told.to.stop")
    });
    let busy = busy.made();
    let process = Process::start(Arc::new(pg_store(&db)), slice::from_ref(&busy)).await;
    let id = process.begin(flow(&["busy"])).await;
    until(async || (count(&busy.runs) == 1).then_some(())).await;
    let asks = pg_store(&db);
    asks.run(id).await.unwrap();

    let name = db.config.get_dbname().unwrap();
    let mut elsewhere = db.config.clone();
    let admin = connect(elsewhere.dbname("postgres")).await;
    // Nobody gets in, so that the listener stays away until the cancel was told.
    admin.batch_execute(&format!("alter database {name} allow_connections false")).await.unwrap();
    let listens = "from pg_stat_activity where datname = $1 and query ilike 'listen %'";
    let cut = admin.query(&format!("select pg_terminate_backend(pid) {listens}"), &[&name]).await.unwrap();
    assert!(!cut.is_empty(), "somebody listened");
    until(async || {
        admin.query(&format!("select 1 {listens}"), &[&name]).await.unwrap().is_empty().then_some(())
    })
    .await;
    asks.request_cancel(id, Cancel::Orderly).await.unwrap();
    admin.batch_execute(&format!("alter database {name} allow_connections true")).await.unwrap();
    assert_eq!(process.ended(id).await.head.status, RunStatus::Cancelled);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_checkpoint_fails_its_step_even_if_the_store_cannot_be_read_then() {
    let store = Arc::new(CountingStore::default());
    let trips = store.clone();
    let bad = Script::new("bad").runs(move |_, _| {
        trips.refusals.store(2, Ordering::SeqCst);
        trips.unreadable.store(2, Ordering::SeqCst);
        async { Outcome::Done(json!(1)) }
    });
    let first = Script::new("first").undoes(|_, _| async { Outcome::Done(Value::Null) }).made();
    let process = Process::start(store.clone(), &[first.clone(), bad.made()]).await;
    let id = process.begin(flow(&["first", "bad"])).await;
    let left = || store.refusals.load(Ordering::SeqCst) + store.unreadable.load(Ordering::SeqCst);
    until(async || (count(&first.runs) == 1 && left() == 0).then_some(())).await;
    let run = process.ended(id).await;
    assert_eq!((run.head.status, code(&run)), (RunStatus::Undone, "step.not_storable"));
    assert_eq!(count(&first.undos), 1);
    assert!(process.engine.live().is_empty(), "nobody drives it any more");
    process.events(id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_undo_that_cannot_be_stored_is_left_to_an_operator() {
    let store = Arc::new(CountingStore::default());
    let trips = store.clone();
    let first = Script::new("first").undoes(move |_, _| {
        trips.refusals.store(1, Ordering::SeqCst);
        async { Outcome::Done(Value::Null) }
    });
    let broken = Script::new("broken").runs(|_, _| async { fail("broken") });
    let process = Process::start(store, &[first.made(), broken.made()]).await;
    let run = process.run(flow(&["first", "broken"])).await;
    assert_eq!((run.head.status, code(&run)), (RunStatus::UndoFailed, "run.undo_failed"));
    let step = &run.steps[0];
    assert_eq!(
        (step.undo, step.undo_error.as_ref().unwrap().code.as_str()),
        (UndoStatus::Failed, "step.not_storable")
    );
}
