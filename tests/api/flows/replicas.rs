//! Two services over one database: what one is asked, the other does.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{begin, ended, flow, learner, naps, seen, start};
use crate::harness::TestApp;

#[tokio::test]
async fn one_key_at_once_on_two_replicas_is_one_run() {
    let first = TestApp::start().await;
    let second = first.beside(&[]).await;
    let token = first.login().await;
    const ROUNDS: usize = 5;
    for round in 0..ROUNDS {
        let key = format!("round-{round}");
        let headers = [("Idempotency-Key", key.as_str()), ("Prefer", "respond-async")];
        let body = json!({"flow": naps(0.0)});
        let posts = (0..8).map(|n| start(if n % 2 == 0 { &first } else { &second }, &token, &body, &headers));
        let answers = join_all(posts).await;
        assert!(answers.iter().all(|answer| answer.status.is_success()), "{answers:?}");
        let ids: BTreeSet<&str> = answers.iter().map(|answer| answer.body["id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), 1, "one run, whoever was asked");
        for app in [&first, &second] {
            let other = json!({"flow": naps(0.1)});
            start(app, &token, &other, &headers).await.refused(422, "idempotency.key_reused");
        }
    }
    let client = first.db.pool.client().await.unwrap();
    let runs: i64 = client.query_one("select count(*) from flow_run", &[]).await.unwrap().get(0);
    assert_eq!(runs as usize, ROUNDS);
}

/// A run of a program that has written its pid and its child's, and hears no SIGINT.
async fn stubborn(app: &TestApp, token: &str, signs: &Path) -> (String, [String; 2]) {
    let _ = std::fs::remove_file(signs);
    let sign = signs.display();
    let script =
        format!("trap '' INT; sleep 1000 & echo $$ $! > {sign}.new; mv {sign}.new {sign}; wait; wait");
    let steps = flow(&[
        ("store", "store_data", json!({"dataset": "taken_back", "rows": [{"n": 1}]})),
        ("program", "exec", json!({"program": "sh", "args": ["-c", script]})),
    ]);
    let path = begin(app, token, &steps).await;
    seen(app, token, &path, |_| signs.exists()).await;
    let pids = std::fs::read_to_string(signs).unwrap();
    let (parent, child) = pids.trim().split_once(' ').unwrap();
    (path, [parent.to_owned(), child.to_owned()])
}

fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

fn cancelled_and_taken_back(run: &Value) {
    assert_eq!((run["status"].as_str(), run["cause"].as_str()), (Some("cancelled"), Some("cancel")), "{run}");
    let step = |at: usize| (run["tasks"][at]["status"].as_str(), run["tasks"][at]["undo"].as_str());
    assert_eq!((step(0), step(1).0), ((Some("succeeded"), Some("done")), Some("failed")), "{run}");
}

const EXEC: [(&str, &str); 1] = [("FLOW_EXEC_ALLOW", "sh=/bin/sh")];

#[tokio::test]
async fn a_cancel_on_another_replica_reaches_a_running_program() {
    let first = TestApp::start_with(&EXEC).await;
    let second = first.beside(&EXEC).await;
    let token = first.login().await;
    let signs = tempfile::tempdir().unwrap();
    let sign = signs.path().join("up");
    let script = format!("touch {}; exec sleep 1000", sign.display());
    let steps = flow(&[
        ("store", "store_data", json!({"dataset": "taken_back", "rows": [{"n": 1}]})),
        ("program", "exec", json!({"program": "sh", "args": ["-c", script]})),
    ]);
    let path = begin(&first, &token, &steps).await;
    seen(&first, &token, &path, |_| sign.exists()).await;
    let answer = second.post(&format!("{path}/cancel"), &token, &json!({})).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
    cancelled_and_taken_back(&ended(&first, &token, &path).await);
}

/// The program would hold out until its grace of 10 s is over. One try of three must be quicker, so that a machine that
/// stalls does not fail the test.
#[tokio::test]
async fn force_on_another_replica_kills_a_program_in_its_grace() {
    let first = TestApp::start_with(&EXEC).await;
    let second = first.beside(&EXEC).await;
    let token = first.login().await;
    let weak = learner(&first, "weak").await;
    let signs = tempfile::tempdir().unwrap();
    let mut took = Vec::new();
    for _ in 0..3 {
        let (path, pids) = stubborn(&first, &token, &signs.path().join("up")).await;
        let (gently, force) = (format!("{path}/cancel"), format!("{path}/cancel?force=true"));
        second.post(&force, &weak, &json!({})).await.refused(403, "run.force_forbidden");
        second
            .post(&format!("{path}/cancel?force=yes"), &token, &json!({}))
            .await
            .refused(400, "query.invalid");
        let asked = Instant::now();
        assert_eq!(second.post(&gently, &token, &json!({})).await.status, StatusCode::ACCEPTED);
        assert!(pids.iter().all(|pid| lives(pid)), "it does not listen");
        assert_eq!(second.post(&force, &token, &json!({})).await.status, StatusCode::ACCEPTED);
        cancelled_and_taken_back(&ended(&first, &token, &path).await);
        took.push(asked.elapsed());
        assert!(!pids.iter().any(|pid| lives(pid)), "nothing of its group is left");
        second.post(&force, &token, &json!({})).await;
        if took.iter().any(|took| *took < Duration::from_secs(8)) {
            println!("a program that hears nothing was ended by force from another replica in {took:?}");
            return;
        }
    }
    panic!("force waited for the grace: {took:?}");
}
