//! Ending runs: cancels and undo by hand, and what `why` says of them.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{begin, ended, flow, naps, seen, start};
use crate::harness::TestApp;

async fn rows_of(app: &TestApp, dataset: &str) -> i64 {
    let client = app.db.pool.client().await.unwrap();
    let rows =
        "select count(*) from dataset_row r join dataset_part p on p.id = r.part_id where p.dataset = $1";
    client.query_one(rows, &[&dataset]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_sleeping_run_is_cancelled_at_once_and_taken_back() {
    let app = TestApp::start().await;
    let token = app.login().await;
    let steps = flow(&[
        ("store", "store_data", json!({"dataset": "taken_back", "rows": [{"n": 1}, {"n": 2}]})),
        ("nap", "sleep", json!({"seconds": 3600})),
    ]);
    let path = begin(&app, &token, &steps).await;
    seen(&app, &token, &path, |run| run["status"] == "waiting").await;
    assert_eq!(rows_of(&app, "taken_back").await, 2);
    let why = app.get(&format!("{path}/why"), &token).await.body;
    assert!(why["sentence"].as_str().unwrap().contains("asked to wait"), "{why}");
    let asked = Instant::now();
    for _ in 0..2 {
        let answer = app.post(&format!("{path}/cancel"), &token, &json!({})).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
    }
    let run = ended(&app, &token, &path).await;
    assert!(asked.elapsed() < Duration::from_secs(30), "{:?}", asked.elapsed());
    assert_eq!((run["status"].as_str(), run["cause"].as_str()), (Some("cancelled"), Some("cancel")));
    assert_eq!((run["tasks"][0]["undo"].as_str(), rows_of(&app, "taken_back").await), (Some("done"), 0));
}

#[tokio::test]
async fn a_running_step_is_cancelled_at_once() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap().to_string();
    let app = TestApp::start_with(&[("FLOW_HTTP_ALLOW", &address)]).await;
    let token = app.login().await;
    let steps = flow(&[
        ("store", "store_data", json!({"dataset": "taken_back", "rows": [{"n": 1}]})),
        ("hang", "http_request", json!({"method": "POST", "url": format!("http://{address}/"), "body": {}})),
    ]);
    let path = begin(&app, &token, &steps).await;
    // It takes the call and never answers.
    let call = server.accept().await.unwrap();
    let why = app.get(&format!("{path}/why"), &token).await.body;
    assert_eq!((why["status"].as_str(), why["holder"].is_string()), (Some("running"), true), "{why}");
    let asked = Instant::now();
    app.post(&format!("{path}/cancel"), &token, &json!({})).await;
    let run = ended(&app, &token, &path).await;
    println!("a running call was cancelled in {:?}", asked.elapsed());
    assert!(asked.elapsed() < Duration::from_secs(30), "{:?}", asked.elapsed());
    assert_eq!((run["status"].as_str(), rows_of(&app, "taken_back").await), (Some("cancelled"), 0), "{run}");
    drop(call);
}

#[tokio::test]
async fn an_operator_takes_a_succeeded_run_back() {
    let app = TestApp::start().await;
    let token = app.login().await;
    let steps = flow(&[
        ("dir", "create_directory", json!({"lab": "by-hand"})),
        ("store", "store_data", json!({"dataset": "by_hand", "rows": [{"n": 1}]})),
        ("last", "noop", json!({})),
    ]);
    let answer = start(&app, &token, &json!({"flow": steps}), &[]).await;
    assert_eq!(answer.body["status"], "succeeded", "{}", answer.body);
    let made = answer.body["tasks"][0]["output"]["directory"].as_str().unwrap();
    let dir = app.state_dir().join("workspaces").join(made);
    assert!(dir.is_dir(), "{}", dir.display());
    let path = answer.body["links"]["self"].as_str().unwrap().to_owned();
    let why = app.get(&format!("{path}/why"), &token).await.body;
    assert!(
        why["can_do"].as_array().unwrap().iter().any(|call| call.as_str().unwrap().ends_with("/undo")),
        "{why}"
    );
    let taken = app.post(&format!("{path}/undo"), &token, &json!({})).await;
    assert_eq!(taken.status, StatusCode::ACCEPTED, "{}", taken.body);
    let run = seen(&app, &token, &path, |run| run["status"] == "undone").await;
    let undone: Vec<&Value> = run["tasks"].as_array().unwrap().iter().map(|task| &task["undo"]).collect();
    assert_eq!(undone, ["done", "done", "none"]);
    assert_eq!((dir.exists(), rows_of(&app, "by_hand").await), (false, 0));
    app.post(&format!("{path}/undo"), &token, &json!({})).await.refused(409, "run.not_undoable");
    let events = app.get(&format!("{path}/events?wait=0"), &token).await.body;
    let undos = events["events"].as_array().unwrap().iter().filter(|event| event["type"] == "undo.done");
    let order: Vec<&Value> = undos.map(|event| &event["step"]).collect();
    assert_eq!(order, ["store", "dir"]);
}

#[tokio::test]
async fn a_run_nobody_can_take_says_why() {
    let app = TestApp::start().await;
    let token = app.login().await;
    let mut moon = naps(0.0);
    moon["runs_on"] = json!("moon");
    let path = begin(&app, &token, &moon).await;
    let why = app.get(&format!("{path}/why"), &token).await.body;
    assert_eq!(
        (&why["blocked_by"]["kind"], &why["blocked_by"]["runs_on"]),
        (&json!("no_worker"), &json!("moon")),
        "{why}"
    );
    assert!(why["sentence"].as_str().unwrap().contains("moon"));
}
