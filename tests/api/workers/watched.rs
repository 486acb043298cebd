//! What a worker shows to those who watch it.

use std::process::Command;

use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::Worker;
use crate::harness::{Answer, TestApp};
use crate::queue::until;

const ANYWHERE: (&str, &str) = ("FLOW_METRICS_ADDRESS", "127.0.0.1:0");

/// Where it listens, once its log says so.
async fn address(worker: &Worker) -> String {
    until(async || worker.log().contains("watched on ")).await;
    let log = worker.log();
    let at = log.lines().find_map(|line| Some(line.split_once("watched on ")?.1.trim())).unwrap();
    at.to_owned()
}

async fn ask(address: &str, method: Method, path: &str) -> Answer {
    Answer::to(Client::new().request(method, format!("http://{address}{path}"))).await
}

async fn get(address: &str, path: &str) -> Answer {
    ask(address, Method::GET, path).await
}

/// Until `/metrics` has this line.
async fn counts(address: &str, line: &str) {
    until(async || {
        let text = get(address, "/metrics").await.body;
        text.as_str().unwrap().lines().any(|told| told == line)
    })
    .await;
}

fn health(address: &str) -> Option<i32> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flow-manager"));
    command.args(["health", "--work"]).env("FLOW_METRICS_ADDRESS", address);
    command.output().unwrap().status.code()
}

#[tokio::test]
async fn a_worker_says_how_it_is_and_counts_what_it_does() {
    let app = TestApp::start_with(&[("FLOW_WORKER_ENABLED", "false")]).await;
    let token = app.login().await;
    let worker = Worker::beside(&app, &[ANYWHERE]);
    let address = address(&worker).await;
    assert_eq!(get(&address, "/livez").await.body, json!({"status": "ok"}));
    until(async || get(&address, "/readyz").await.status == 200).await;
    assert_eq!(health(&address), Some(0));

    assert_eq!(app.run_flow(&token, &json!("hello"), &json!({})).await.body["status"], "succeeded");
    counts(&address, "flow_manager_runs_ended_total{flow=\"hello\",status=\"succeeded\"} 1.0").await;
    counts(&address, "flow_manager_lease_held 1.0").await;
    counts(&address, "flow_manager_database_up 1.0").await;

    // Nothing else is there, whoever asks.
    for path in ["/me", "/health", "/flow-manager/runs", "/openapi.json"] {
        get(&address, path).await.refused(404, "path.unknown");
    }
    ask(&address, Method::POST, "/metrics").await.refused(405, "method.not_allowed");
    let other = Worker::beside(&app, &[]);
    until(async || other.is_ready()).await;
    assert!(!other.log().contains("watched on "), "nobody asked for it: {}", other.log());
}

#[tokio::test]
async fn a_worker_whose_database_is_away_lives_and_is_not_ready() {
    let worker = Worker::over("postgres://flow@127.0.0.1:1/flow", &[ANYWHERE]);
    let address = address(&worker).await;
    assert_eq!(get(&address, "/livez").await.status, 200);
    get(&address, "/readyz").await.refused(503, "service.starting");
    counts(&address, "flow_manager_database_up 0.0").await;
    assert_eq!(health(&address), Some(1));
}

#[tokio::test]
async fn an_address_that_is_taken_or_none_is_told_and_nothing_starts() {
    let app = TestApp::start().await;
    let taken = app.base.strip_prefix("http://").unwrap();
    for (address, code, told) in
        [(taken, 1, format!("metrics.address {taken}: ")), ("9090", 2, "is not ADDRESS:PORT".to_owned())]
    {
        let output = Command::new(env!("CARGO_BIN_EXE_flow-manager"))
            .arg("work")
            .env("FLOW_DATABASE_URL", app.db.url())
            .env("FLOW_STATE_DIR", app.state_dir().join("worker"))
            .env("FLOW_METRICS_ADDRESS", address)
            .output()
            .unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{complaint}");
        assert!(complaint.contains(&told), "{complaint}");
    }
    let _: Value = app.get("/livez", "").await.body;
}
