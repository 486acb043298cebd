//! `traceparent`: taken, kept with the run, given to its programs.

use serde_json::{Value, json};

use crate::flows::{ended, flow, start};
use crate::harness::TestApp;

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
