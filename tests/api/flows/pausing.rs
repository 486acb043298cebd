//! Pauses and limits over HTTP.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{begin, ended, learner, naps, seen, start};
use crate::harness::TestApp;

const PAUSES: &str = "/flow-manager/pauses";
const ALL: &str = "/flow-manager/pause";
const HELLO: &str = "/flow-manager/flows/hello/pause";

#[tokio::test]
async fn a_pause_outlives_the_service_and_holds_what_comes() {
    let mut app = TestApp::start().await;
    let token = app.login().await;
    let ann = learner(&app, "ann").await;
    app.post(HELLO, "", &json!({})).await.refused(401, "auth.token_missing");
    app.post(HELLO, &ann, &json!({})).await.refused(403, "auth.role_too_low");
    app.post("/flow-manager/flows/hallo/pause", &token, &json!({})).await.refused(404, "flow.unknown");
    app.post("/flow-manager/flows/hallo/resume", &token, &json!({})).await.refused(404, "flow.unknown");
    app.post(HELLO, &token, &json!({"reason": "x".repeat(501)})).await.refused(422, "pause.reason_invalid");
    app.get(PAUSES, &ann).await.refused(403, "auth.role_too_low");

    let paused = app.post(HELLO, &token, &json!({"reason": "spring cleaning"})).await;
    assert_eq!((paused.status, &paused.body["flow"]), (StatusCode::OK, &json!("hello")), "{}", paused.body);
    let flows = app.get("/flow-manager/flows", &ann).await.body;
    let hello = flows["data"].as_array().unwrap().iter().find(|flow| flow["name"] == "hello").unwrap();
    assert_eq!(hello["paused"]["reason"], "spring cleaning");

    app.kill_and_restart().await;
    let token = app.login().await;
    let wait = [("Prefer", "respond-async")];
    let held = start(&app, &token, &json!({"flow": "hello"}), &wait).await;
    assert_eq!((held.status, &held.body["status"]), (StatusCode::ACCEPTED, &json!("queued")));
    let path = held.body["links"]["self"].as_str().unwrap().to_owned();
    let why = app.get(&format!("{path}/why"), &token).await.body;
    assert_eq!((&why["blocked_by"]["kind"], &why["blocked_by"]["flow"]), (&json!("paused"), &json!("hello")));
    assert!(why["sentence"].as_str().unwrap().contains("spring cleaning"), "{why}");
    let free = start(&app, &token, &json!({"flow": naps(0.0)}), &[]).await;
    assert_eq!(free.body["status"], "succeeded", "{}", free.body);

    let resume = "/flow-manager/flows/hello/resume";
    assert_eq!(app.post(resume, &token, &json!({})).await.body, json!({"resumed": true}));
    assert_eq!(app.post(resume, &token, &json!({})).await.body, json!({"resumed": false}));
    assert_eq!(ended(&app, &token, &path).await["status"], "succeeded");
}

#[tokio::test]
async fn a_drained_service_ends_what_goes_on_and_starts_nothing() {
    let app = TestApp::start().await;
    let token = app.login().await;
    let steps = json!({"name": "two", "tasks": [
        {"name": "nap", "task": "sleep", "input": {"seconds": 1}}, {"name": "after", "task": "noop"}]});
    let path = begin(&app, &token, &steps).await;
    seen(&app, &token, &path, |run| run["tasks"][0]["status"] == "waiting").await;
    assert_eq!(app.post(ALL, &token, &json!({})).await.body["flow"], Value::Null);
    // Its time comes, and nothing starts.
    seen(&app, &token, &path, |run| run["status"] == "waiting").await;
    let over = seen(&app, &token, &format!("{path}/why"), |why| why["blocked_by"]["kind"] == "paused").await;
    assert_eq!(over["can_do"][1], "POST /flow-manager/resume", "{over}");
    let pauses = app.get(PAUSES, &token).await.body;
    assert_eq!((&pauses["data"][0]["flow"], &pauses["data"][0]["under_way"]), (&Value::Null, &json!(0)));
    assert_eq!(app.post("/flow-manager/resume", &token, &json!({})).await.body["resumed"], true);
    assert_eq!(ended(&app, &token, &path).await["status"], "succeeded");
}

#[tokio::test]
async fn a_limited_service_says_who_waits_for_whom() {
    let app = TestApp::start_with(&[("FLOW_RUNS_AT_ONCE", "1")]).await;
    let token = app.login().await;
    let first = begin(&app, &token, &naps(3600.0)).await;
    let second = begin(&app, &token, &naps(0.0)).await;
    let why = app.get(&format!("{second}/why"), &token).await.body;
    assert_eq!(why["blocked_by"], json!({"kind": "limit", "flow": null, "at_once": 1, "ahead": 0}));
    assert_eq!(why["status"], "queued");
    app.post(&format!("{first}/cancel"), &token, &json!({})).await;
    assert_eq!(ended(&app, &token, &second).await["status"], "succeeded");
    let unfit = json!({"flow": {"name": "f", "at_once": 0, "tasks": [{"name": "noop"}]}});
    app.post("/flow-manager", &token, &unfit).await.refused(422, "flow.invalid");
}
