//! Rooms, through HTTP and real sockets.

mod client;
mod logins;
mod losing;
mod people;
mod reading;
mod redis;
mod refusals;
mod replicas;
mod slow;
mod stream;

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Answer, TestApp};
use people::token_of;
pub use stream::Stream;

/// How long anything may take that has to happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// A service whose users may post as fast as they like.
async fn start() -> TestApp {
    TestApp::start_with(&[("FLOW_AUTH_SECRET", people::SECRET), ("FLOW_ROOMS_POSTS_PER_MINUTE", "1000000")])
        .await
}

async fn say(app: &TestApp, token: &str, room: &str, text: &str) -> Value {
    let answer = app.post(&format!("/room/{room}"), token, &json!({"text": text})).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer.body
}

async fn delete(app: &TestApp, token: &str, path: &str) -> Answer {
    Answer::to(app.request(reqwest::Method::DELETE, path).bearer_auth(token)).await
}
