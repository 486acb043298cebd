//! `traceparent`: taken, kept with the run, given to its programs.

use std::os::unix::fs::PermissionsExt;

use reqwest::Method;
use serde_json::{Value, json};

use crate::flows::{ended, flow, start};
use crate::harness::{Answer, TestApp};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// What the program of the first step had in its environment.
fn given(run: &Value) -> Option<String> {
    assert_eq!(run["status"], "succeeded", "{run}");
    let environment = run["tasks"][0]["output"]["stdout"].as_str().unwrap();
    environment.lines().find_map(|line| line.strip_prefix("TRACEPARENT=")).map(str::to_owned)
}

#[tokio::test]
async fn a_runs_programs_are_children_of_the_request_that_started_it() {
    let app = TestApp::start_with(&[("FLOW_EXEC_ALLOW", "env=/usr/bin/env")]).await;
    let token = app.login().await;
    let body = json!({"flow": flow(&[("env", "exec", json!({"program": "env"}))])});
    let run = start(&app, &token, &body, &[("traceparent", SENT), ("X-Request-Id", "mine-1")]).await;
    assert_eq!(run.headers["x-request-id"], "mine-1");
    assert_eq!(run.body["traceparent"], SENT);
    let child = given(&run.body).unwrap();
    assert!(child.starts_with(&format!("00-{TRACE}-")) && child.ends_with("-01"), "{child}");
    assert_ne!(child, SENT);
    assert!(app.log().contains(&format!("request=mine-1 trace={TRACE}")), "{}", app.log());

    for (name, value) in [("traceparent", "00-nonsense"), ("X-Other", SENT)] {
        let run = start(&app, &token, &body, &[(name, value)]).await.body;
        assert_eq!((run.get("traceparent"), given(&run)), (None, None));
    }
}

#[tokio::test]
async fn a_trace_is_kept_through_a_restart_and_with_a_key() {
    let mut app = TestApp::start_with(&[("FLOW_EXEC_ALLOW", "env=/usr/bin/env")]).await;
    let token = app.login().await;
    // Longer than a pause that is slept through: the run is let go, and claimed anew.
    let steps = flow(&[("nap", "sleep", json!({"seconds": 3})), ("env", "exec", json!({"program": "env"}))]);
    for key in [None, Some("one")] {
        let mut headers = vec![("traceparent", SENT), ("Prefer", "respond-async")];
        headers.extend(key.map(|key| ("Idempotency-Key", key)));
        let begun = start(&app, &token, &json!({"flow": steps}), &headers).await;
        let path = begun.body["links"]["self"].as_str().unwrap().to_owned();
        app.kill_and_restart().await;
        let run = ended(&app, &token, &path).await;
        assert_eq!(run["traceparent"], SENT, "{run}");
        let environment = run["tasks"][1]["output"]["stdout"].as_str().unwrap();
        assert!(environment.contains(&format!("TRACEPARENT=00-{TRACE}-")), "{environment}");
    }
}

/// Notes its arguments and its trace, and is the machine's own terraform, or tofu, from there on.
const NOTING: &str = r#"#!/bin/sh
printf '%s TRACEPARENT=%s\n' "$*" "$TRACEPARENT" >>'NOTES'
exec "$(command -v terraform || command -v tofu)" "$@"
"#;

#[tokio::test]
async fn terraform_is_a_child_of_the_request_that_launched_the_lab() {
    let dir = tempfile::tempdir().unwrap();
    let (program, notes) = (dir.path().join("noting"), dir.path().join("notes"));
    std::fs::write(&program, NOTING.replace("NOTES", notes.to_str().unwrap())).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let key = "ab".repeat(32);
    let settings = [("FLOW_TERRAFORM_BIN", program.to_str().unwrap()), ("FLOW_STATE_KEY", &key)];
    let app = TestApp::start_with(&settings).await;
    let token = app.login().await;
    let call = async |path: &str, headers: &[(&str, &str)]| {
        let request = app.request(Method::POST, &format!("/labs/hello-terraform/{path}")).bearer_auth(&token);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let begun = Answer::to(request.json(&json!({}))).await.body;
        let run = ended(&app, &token, begun["links"]["self"].as_str().unwrap()).await;
        assert_eq!(run["status"], "succeeded", "{run}");
    };
    // Of `apply` and of `apply -destroy`.
    let noted = |command: &str| -> Vec<String> {
        let notes = std::fs::read_to_string(&notes).unwrap();
        let of = notes.lines().filter(|line| line.split(' ').any(|word| word == command));
        of.map(|line| line.split_once("TRACEPARENT=").unwrap().1.to_owned()).collect()
    };
    call("launch", &[("traceparent", SENT)]).await;
    let applied = noted("apply");
    assert!(!applied.is_empty());
    for child in applied {
        assert!(child.starts_with(&format!("00-{TRACE}-")) && child.ends_with("-01"), "{child}");
        assert_ne!(child, SENT, "the step is its parent");
    }
    call("finish", &[]).await;
    let destroyed = noted("-destroy");
    assert!(!destroyed.is_empty() && destroyed.iter().all(String::is_empty), "{destroyed:?}");
}
