//! Flows over HTTP, against the service as a process.

mod ending;
mod listing;
mod pausing;
mod planning;
mod programs;
mod refusals;
mod replicas;
mod retrying;
mod schedules;
mod starting;
mod watching;

use std::time::Duration;

use flow_domain::UserId;
use flow_domain::users::{Account, Offered, Passwords, Role, User, Users};
use flow_manager::driven::credentials::BcryptPasswords;
use flow_manager::driven::postgres::PgUsers;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Answer, TestApp};

const PATIENCE: Duration = Duration::from_secs(60);
pub const RUNS: &str = "/flow-manager/runs";

/// Posts a flow with these headers.
pub async fn start(app: &TestApp, token: &str, body: &Value, headers: &[(&str, &str)]) -> Answer {
    let request = app.request(Method::POST, "/flow-manager").bearer_auth(token).json(body);
    let with = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    Answer::to(with).await
}

/// Starts a flow and does not wait; its address.
pub async fn begin(app: &TestApp, token: &str, flow: &Value) -> String {
    let answer = start(app, token, &json!({"flow": flow}), &[("Prefer", "respond-async")]).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
    answer.body["links"]["self"].as_str().unwrap().to_owned()
}

/// The run at this address, once it is as wanted.
pub async fn seen(app: &TestApp, token: &str, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let looking = async {
        loop {
            let answer = app.get(path, token).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
            if wanted(&answer.body) {
                return answer.body;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.expect("it never came")
}

pub async fn ended(app: &TestApp, token: &str, path: &str) -> Value {
    seen(app, token, path, |run| !run["finished_at"].is_null()).await
}

/// A learner of this name, signed in.
pub async fn learner(app: &TestApp, name: &str) -> String {
    let password = "long enough to be one";
    let email = format!("{name}@example.org");
    let hasher = BcryptPasswords::new(4, 2, Duration::from_secs(60)).unwrap();
    let user = User {
        id: UserId::new(),
        email: Some(email.clone()),
        username: None,
        name: None,
        role: Role::Learner,
    };
    let hash = hasher.hash(&Offered::new(password).unwrap()).await.unwrap();
    let account = Account::new(user).with_password(hash);
    assert!(PgUsers::new(app.db.pool.clone()).add(&account).await.unwrap());
    let answer = app.post("/login", "", &json!({"email": email, "password": password})).await;
    answer.body["token"].as_str().unwrap().to_owned()
}

/// A flow of these steps: name, task, input.
pub fn flow(steps: &[(&str, &str, Value)]) -> Value {
    let tasks: Vec<Value> =
        steps.iter().map(|(name, task, input)| json!({"name": name, "task": task, "input": input})).collect();
    json!({"name": "test", "tasks": tasks})
}

pub fn naps(seconds: f64) -> Value {
    flow(&[("nap", "sleep", json!({"seconds": seconds}))])
}
