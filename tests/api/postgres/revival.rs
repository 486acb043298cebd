//! The private PostgreSQL under a running service.

use std::fs;
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::harness::{Answer, TestApp};

const PATIENCE: Duration = Duration::from_secs(60);

fn server_pid(app: &TestApp) -> Option<Pid> {
    let file = fs::read_to_string(app.state_dir().join("postgres/data/postmaster.pid")).ok()?;
    Pid::from_raw(file.lines().next()?.trim().parse().ok()?)
}

async fn begin_nap(app: &TestApp, token: &str) -> Answer {
    let flow = json!({"name": "nap", "tasks": [{"name": "nap", "task": "sleep", "input": {"seconds": 1}}]});
    let request = app.request(Method::POST, "/flow-manager").bearer_auth(token);
    Answer::to(request.header("Prefer", "respond-async").json(&json!({"flow": flow}))).await
}

async fn ended(app: &TestApp, token: &str, run: &Value) -> Value {
    let begun = Instant::now();
    loop {
        let answer = app.get(run["links"]["self"].as_str().unwrap(), token).await;
        if answer.status == StatusCode::OK && !answer.body["finished_at"].is_null() {
            return answer.body;
        }
        assert!(begun.elapsed() < PATIENCE, "{}", answer.body);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_private_server_that_is_killed_is_started_again_and_nothing_is_lost() {
    // Without the address of another the service has a server of its own.
    let app = TestApp::start_with(&[("FLOW_DATABASE_URL", "")]).await;
    let token = app.login().await;
    for _ in 0..2 {
        let taken = begin_nap(&app, &token).await;
        assert_eq!(taken.status, StatusCode::ACCEPTED, "{}", taken.body);
        let killed = server_pid(&app).unwrap();
        kill_process(killed, Signal::KILL).unwrap();
        assert_eq!(ended(&app, &token, &taken.body).await["status"], "succeeded");
        assert_ne!(server_pid(&app), Some(killed));
    }
    // The server takes connections a moment before its keeper says so.
    let begun = Instant::now();
    while app.log().matches("the private database is back").count() < 2 {
        assert!(begun.elapsed() < PATIENCE, "{}", app.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
