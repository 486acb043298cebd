//! Several workers, and what becomes of the runs of one that dies.

use std::process::Command;

use super::{Worker, begin_many};
use crate::flows::{ended, naps};
use crate::harness::{TestApp, broker};
use crate::queue::{count, until};

/// Runs are handed out in turn, so that each gets its share.
#[tokio::test]
async fn two_workers_share_the_runs_that_rabbitmq_hands_out() {
    let url = broker().await.vhost().await;
    let queue = ("FLOW_QUEUE_URL", url.as_str());
    let app = TestApp::start_with(&[("FLOW_WORKER_ENABLED", "false"), queue]).await;
    let token = app.login().await;
    let workers = [Worker::beside(&app, &[queue]), Worker::beside(&app, &[queue])];
    for worker in &workers {
        until(async || worker.is_ready()).await;
    }
    let mut all = 0;
    // The first ones may come before both have begun to listen.
    until(async || {
        for path in begin_many(&app, &token, &naps(0.0), 10).await {
            assert_eq!(ended(&app, &token, &path).await["status"], "succeeded");
        }
        all += 10;
        workers.iter().all(|worker| worker.taken() >= 10)
    })
    .await;
    assert_eq!(workers[0].taken() + workers[1].taken(), all, "each run was taken once");
}

#[tokio::test]
async fn a_worker_without_a_database_says_what_it_needs() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flow-manager"));
    let state = tempfile::tempdir().unwrap();
    let done = command.arg("work").env("FLOW_STATE_DIR", state.path()).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(1), "{said}");
    assert!(said.contains("A worker needs database.url"), "{said}");
}

#[tokio::test]
#[ignore = "kills a worker and waits until its lease has run out"]
async fn a_killed_worker_loses_nothing_over_postgres() {
    let app = TestApp::start_with(&[("FLOW_WORKER_ENABLED", "false")]).await;
    a_killed_worker_loses_nothing(&app, &[]).await;
}

#[tokio::test]
#[ignore = "kills a worker and waits until its lease has run out"]
async fn a_killed_worker_loses_nothing_over_rabbitmq() {
    let url = broker().await.vhost().await;
    let queue = ("FLOW_QUEUE_URL", url.as_str());
    let app = TestApp::start_with(&[("FLOW_WORKER_ENABLED", "false"), queue]).await;
    a_killed_worker_loses_nothing(&app, &[queue]).await;
}

async fn a_killed_worker_loses_nothing(app: &TestApp, more: &[(&str, &str)]) {
    let token = app.login().await;
    let mut workers = [Worker::beside(app, more), Worker::beside(app, more), Worker::beside(app, more)];
    for worker in &workers {
        until(async || worker.is_ready()).await;
    }
    let paths = begin_many(app, &token, &naps(1.0), 40).await;
    let busiest = (0..3).max_by_key(|at| workers[*at].taken()).unwrap();
    until(async || workers[busiest].taken() > 0).await;
    workers[busiest].kill();
    for path in &paths {
        assert_eq!(ended(app, &token, path).await["status"], "succeeded");
    }
    let succeeded = count(app, "select count(*) from flow_run where status = 'succeeded'").await;
    assert_eq!(succeeded, 40);
    let taken_over = count(app, "select count(*) from flow_run where epoch > 1").await;
    println!("of 40 runs {taken_over} were taken over from the killed worker");
    assert!(taken_over > 0);
}
