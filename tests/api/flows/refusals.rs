//! What is refused, with which status and code, and that every fault is told at once.

use reqwest::Method;
use serde_json::{Value, json};

use super::{RUNS, begin, ended, flow, learner, naps, start};
use crate::harness::{Answer, TestApp};

#[tokio::test]
async fn who_may_not_is_refused_first() {
    let app = TestApp::start().await;
    let (operator, ann, bob) = (app.login().await, learner(&app, "ann").await, learner(&app, "bob").await);
    let unknown = "/flow-manager/runs/01900000-0000-7000-8000-000000000000";
    for path in [RUNS, unknown, "/flow-manager/flows", "/flow-manager/tasks"] {
        app.get(path, "").await.refused(401, "auth.token_missing");
        app.get(path, "a.b.c").await.refused(401, "auth.token_invalid");
    }
    app.post("/flow-manager", "", &json!({"flow": "hello"})).await.refused(401, "auth.token_missing");

    let definition = json!({"flow": flow(&[("a", "noop", json!({}))])});
    app.post("/flow-manager", &ann, &definition).await.refused(403, "flow.definition_forbidden");
    app.post("/flow-manager", &ann, &json!({"flow": "data-report"})).await.refused(403, "flow.forbidden");
    let hers = start(&app, &ann, &json!({"flow": "hello"}), &[]).await;
    let path = hers.body["links"]["self"].as_str().unwrap().to_owned();
    assert_eq!(app.get(&path, &ann).await.body["id"], hers.body["id"]);
    assert_eq!(app.get(&path, &operator).await.body["id"], hers.body["id"], "operators see all");
    for call in ["", "/why", "/events", "/events?wait=0"] {
        app.get(&format!("{path}{call}"), &bob).await.refused(404, "run.unknown");
        app.get(&format!("{unknown}{call}"), &bob).await.refused(404, "run.unknown");
    }
    app.post(&format!("{path}/cancel"), &bob, &json!({})).await.refused(404, "run.unknown");
    app.post(&format!("{path}/undo"), &ann, &json!({})).await.refused(403, "auth.role_too_low");
    app.get(&format!("{RUNS}/not-an-id"), &ann).await.refused(404, "run.unknown");
    assert_eq!(app.get(RUNS, &bob).await.body["data"], json!([]));
    assert_eq!(app.get(RUNS, &ann).await.body["data"].as_array().unwrap().len(), 1);
    let cards = app.get("/flow-manager/flows", &ann).await.body;
    let names: Vec<_> =
        cards["data"].as_array().unwrap().iter().map(|card| card["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"hello") && !names.contains(&"data-report"), "{names:?}");
}

fn faults(answer: &Answer) -> Vec<(&str, &str)> {
    let all = answer.body["errors"].as_array().unwrap().iter();
    all.map(|fault| (fault["pointer"].as_str().unwrap(), fault["code"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn a_definition_is_told_all_its_faults_at_once() {
    let app = TestApp::start().await;
    let token = app.login().await;
    let post = async |flow: Value| app.post("/flow-manager", &token, &json!({"flow": flow})).await;

    let unknown = post(json!("helo")).await;
    unknown.refused(422, "flow.unknown");
    assert!(unknown.body["errors"][0]["detail"].as_str().unwrap().contains("did you mean \"hello\""));

    let answer = post(flow(&[("c", "noop", json!({"value": "${secret:x/y}"}))])).await;
    answer.refused(422, "flow.invalid");
    assert_eq!(faults(&answer), [("/flow/tasks/0/input/value", "reference.secret_forbidden")]);

    let answer = post(json!({
        "name": "faulty", "start_task": "nowhere",
        "tasks": [
            {"name": "a", "task": "nop"},
            {"name": "a", "task": "sleep", "input": {"seconds": -1}},
            {"name": "b", "task": "noop", "input": {"value": "${tasks.zzz.output}"}},
            {"name": "c", "task": "noop", "input": {"value": "${secret:x/y}"}}],
        "conditions": [{"name": "x", "source_task": "ghost", "outcome": "success",
            "target_task_success": "b", "target_task_failure": "phantom"}]
    }))
    .await;
    answer.refused(422, "flow.invalid");
    for expected in [
        ("/flow/start_task", "flow.target_unknown"),
        ("/flow/tasks/0/task", "task.unknown"),
        ("/flow/tasks/1/name", "task.name_taken"),
        ("/flow/tasks/1/input/seconds", "task.input_invalid"),
        ("/flow/tasks/2/input/value", "reference.unknown"),
        ("/flow/tasks/3/input/value", "reference.secret_forbidden"),
        ("/flow/conditions/0/source_task", "flow.target_unknown"),
        ("/flow/conditions/0/target_task_failure", "flow.target_unknown"),
    ] {
        assert!(faults(&answer).contains(&expected), "{expected:?} is not in {}", answer.body);
    }

    let mut circle = flow(&[("a", "noop", json!({})), ("b", "noop", json!({}))]);
    circle["conditions"] = json!([{"name": "x", "source_task": "b", "outcome": "success",
        "target_task_success": "a", "target_task_failure": "end"}]);
    let answer = post(circle).await;
    answer.refused(422, "flow.invalid");
    assert!(faults(&answer).iter().any(|(_, code)| *code == "flow.cycle"), "{}", answer.body);

    let answer = post(json!({"name": "x", "tasks": [{"name": "a", "tusk": "noop"}], "colour": "red"})).await;
    answer.refused(422, "flow.invalid");
    let shape: Vec<_> = faults(&answer).iter().map(|fault| fault.1).collect();
    assert_eq!(shape, ["flow.shape_invalid"; 2], "{}", answer.body);
    post(json!({"name": "x", "tasks": []})).await.refused(422, "flow.invalid");
    post(json!({"name": "x", "tasks": [{"name": "a", "task": "noop"}], "schedule": "* * * * *"}))
        .await
        .refused(422, "flow.invalid");
    // Nothing of all this was begun.
    assert_eq!(app.get(RUNS, &token).await.body["data"], json!([]));
}

#[tokio::test]
async fn a_request_that_is_none_is_refused_as_what_it_is() {
    let app = TestApp::start().await;
    let token = app.login().await;
    let raw = async |body: &'static str, kind: &str| {
        let request =
            app.request(Method::POST, "/flow-manager").bearer_auth(&token).header("content-type", kind);
        Answer::to(request.body(body)).await
    };
    raw("{\"flow\": ", "application/json").await.refused(400, "body.not_json");
    raw("{\"flow\": \"hello\"}", "text/plain").await.refused(415, "body.not_json_type");
    for body in [
        json!({"flow": 5}),
        json!({"flow": "hello", "input": []}),
        json!({"flow": "hello", "more": 1}),
        json!({}),
    ] {
        app.post("/flow-manager", &token, &body).await.refused(422, "body.invalid");
    }
    let nul = app.post("/flow-manager", &token, &json!({"flow": "hello", "input": {"name": "a\0b"}})).await;
    nul.refused(422, "body.invalid");
    assert_eq!(faults(&nul), [("/input/name", "body.nul")]);
    let answer =
        app.post("/flow-manager", &token, &json!({"flow": "hello", "input": {"name": 7, "x": 1}})).await;
    answer.refused(422, "flow.input_invalid");
    assert_eq!(faults(&answer).len(), 2, "{}", answer.body);
    for query in ["cursor=x", "limit=0", "limit=1000000", "status=lost", "colour=red", "limit=1&limit=2"] {
        app.get(&format!("{RUNS}?{query}"), &token).await.refused(400, "query.invalid");
    }
    let method = Answer::to(app.request(Method::DELETE, "/flow-manager").bearer_auth(&token)).await;
    assert_eq!(
        (method.status.as_u16(), method.headers["allow"].to_str().unwrap().contains("POST")),
        (405, true)
    );
    assert_eq!(app.get("/flow-manager/nothing", &token).await.status.as_u16(), 404);
}

#[tokio::test]
async fn what_a_run_s_state_forbids_is_refused() {
    let app = TestApp::start().await;
    let token = app.login().await;
    let path = begin(&app, &token, &naps(0.0)).await;
    ended(&app, &token, &path).await;
    let over = app.post(&format!("{path}/cancel"), &token, &json!({})).await;
    over.refused(409, "run.over");
    assert!(over.body["detail"].as_str().unwrap().contains("succeeded"));
    app.post(&format!("{path}/undo"), &token, &json!({})).await.refused(409, "run.nothing_to_undo");
    let going = begin(&app, &token, &naps(3600.0)).await;
    app.post(&format!("{going}/undo"), &token, &json!({})).await.refused(409, "run.not_undoable");
    app.post(&format!("{going}/cancel"), &token, &json!({})).await;
    assert_eq!(ended(&app, &token, &going).await["status"], "cancelled");
}
