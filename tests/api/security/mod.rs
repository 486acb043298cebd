//! Every door, tried with what does not fit it. What is tried by itself beside the code is not tried again here: the
//! forms of tokens are in `driven/credentials/jwt`, the words of each refusal in `driver/http/tests`.

mod accounts;
mod doors;
mod headers;
mod injection;
mod keys;
mod replicas;
mod tokens;

use serde_json::{Value, json};

use crate::harness::{Answer, TestApp};

/// The key of the services in these tests: whoever has it can forge anything, which is what the tests need.
const SECRET: &str = "a signing key that only these tests have";
const PASSWORD: &str = "long enough to be one";

async fn start() -> TestApp {
    TestApp::start_with(&[("FLOW_AUTH_SECRET", SECRET)]).await
}

/// An account of this address, by the front door, and a login of it.
async fn registered(app: &TestApp, name: &str) -> Value {
    let body = json!({"email": format!("{name}@example.org"), "password": PASSWORD});
    let answer = app.post("/auth/register", "", &body).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let answer = app.post("/auth/login", "", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

/// The same, with a role given by the command line.
async fn with_role(app: &TestApp, name: &str, role: &str) -> Value {
    let email = format!("{name}@example.org");
    registered(app, name).await;
    app.command(&["user", "role", &email, role]);
    let body = json!({"email": email, "password": PASSWORD});
    app.post("/auth/login", "", &body).await.body
}

fn access(login: &Value) -> &str {
    login["access_token"].as_str().unwrap()
}

fn id(login: &Value) -> &str {
    login["user"]["id"].as_str().unwrap()
}

/// Waits until the answer is this one; the tests' own time limit is the harness's.
async fn until(what: &str, mut met: impl AsyncFnMut() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !met().await {
        assert!(std::time::Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

fn code(answer: &Answer) -> &str {
    answer.body["code"].as_str().unwrap_or_default()
}
