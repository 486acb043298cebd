//! Learners of a bench, and labs as they reach them: by HTTP alone.

use std::time::Instant;

use reqwest::Method;
use serde_json::Value;

use super::bench::{Bench, PATIENCE};
use crate::flows::learner;
use crate::harness::{Answer, TestApp};

/// Someone who is signed in.
pub struct Person<'a> {
    app: &'a TestApp,
    pub token: String,
}

impl<'a> Person<'a> {
    /// A new learner with an account of this name.
    pub async fn learner(bench: &'a Bench, name: &str) -> Self {
        Self { app: &bench.app, token: learner(&bench.app, name).await }
    }

    /// The demo user, an operator.
    pub async fn operator(bench: &'a Bench) -> Self {
        Self { app: &bench.app, token: bench.app.login().await }
    }

    /// Who signed in before, perhaps with a service that died.
    pub fn with_token(bench: &'a Bench, token: &str) -> Self {
        Self { app: &bench.app, token: token.to_owned() }
    }

    /// The same one at another service over the same database.
    pub fn at(&self, app: &'a TestApp) -> Self {
        Self { app, token: self.token.clone() }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.app.get(path, &self.token).await
    }

    /// What is there; the body.
    pub async fn see(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.app.post(path, &self.token, body).await
    }

    /// Asks and waits for the run's end; the run.
    pub async fn done(&self, path: &str, body: Value) -> Value {
        let request = self.app.request(Method::POST, path).bearer_auth(&self.token);
        let answer = Answer::to(request.header("Prefer", "wait=120").json(&body)).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    }

    /// Looks at a path until it is as wanted; the body.
    pub async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let answer = self.get(path).await;
            if wanted(&answer.body) {
                return answer.body;
            }
            assert!(start.elapsed() < PATIENCE, "{path} never was as wanted: {}", answer.body);
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}
