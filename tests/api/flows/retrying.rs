//! Starting an ended run anew from one of its steps.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{RUNS, ended, flow, learner, start};
use crate::harness::TestApp;

/// Its second step fails until the input is a number.
fn picky() -> Value {
    let mut picky = flow(&[
        ("store", "store_data", json!({"dataset": "retried", "rows": [{"n": 1}]})),
        ("nap", "sleep", json!({"seconds": "${input.n}"})),
    ]);
    picky["on_failure"] = json!("stop");
    picky
}

async fn failed(app: &TestApp, token: &str, flow: Value) -> String {
    let answer = start(app, token, &json!({"flow": flow, "input": {"n": "soon"}}), &[]).await;
    assert_eq!(answer.body["error"]["code"], "task.input_invalid", "{}", answer.body);
    answer.body["links"]["self"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_retry_with_another_input_goes_on_where_the_run_failed() {
    let app = TestApp::start().await;
    let token = app.login().await;
    let path = failed(&app, &token, picky()).await;
    let answer = app.post(&format!("{path}/retry"), &token, &json!({"input": {"n": 0}})).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    assert_eq!(format!("{RUNS}/{}", answer.body["parent_id"].as_str().unwrap()), path);
    let newer = answer.headers["location"].to_str().unwrap().to_owned();
    let run = ended(&app, &token, &newer).await;
    assert_eq!(run["status"], "succeeded", "{run}");
    let old = app.get(&path, &token).await.body;
    assert_eq!(run["tasks"][0]["finished_at"], old["tasks"][0]["finished_at"], "not run again");
    let events = app.get(&format!("{newer}/events?after=0"), &token).await.body;
    let numbers: Vec<i64> =
        events["events"].as_array().unwrap().iter().filter_map(|event| event["id"].as_i64()).collect();
    assert_eq!(numbers, (1..=numbers.len() as i64).collect::<Vec<_>>());

    app.post(&format!("{path}/retry"), &token, &json!({})).await.refused(409, "run.superseded");
    app.post(&format!("{path}/undo"), &token, &json!({})).await.refused(409, "run.superseded");
    let undone = app.post(&format!("{newer}/undo"), &token, &json!({})).await;
    assert_eq!(undone.status, StatusCode::ACCEPTED, "{}", undone.body);
    let run = super::seen(&app, &token, &newer, |run| run["status"] == "undone").await;
    assert_eq!(run["tasks"][0]["undo"], "done", "{run}");
}

#[tokio::test]
async fn a_retry_that_makes_no_sense_is_refused() {
    let app = TestApp::start().await;
    let token = app.login().await;
    let mut taken_back = picky();
    taken_back["on_failure"] = json!("undo");
    let path = failed(&app, &token, taken_back).await;
    ended(&app, &token, &path).await;
    let retry = |query: &str| format!("{path}/retry{query}");
    app.post(&retry("?from=nap"), &token, &json!({})).await.refused(409, "retry.undone_before");
    app.post(&retry("?from=ghost"), &token, &json!({})).await.refused(400, "query.invalid");
    app.post(&retry("?form=nap"), &token, &json!({})).await.refused(400, "query.invalid");
    app.post(&retry(""), &token, &json!({"inputs": {}})).await.refused(422, "body.invalid");
    app.post(&retry(""), "", &json!({})).await.refused(401, "auth.token_missing");
    let stranger = learner(&app, "stranger").await;
    app.post(&retry(""), &stranger, &json!({})).await.refused(404, "run.unknown");
}
