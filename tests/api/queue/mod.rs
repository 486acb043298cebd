//! Events through the whole service, over PostgreSQL and over RabbitMQ.

mod boundaries;
mod deaths;
mod faults;
mod health;
mod letters;
mod starting;

use std::time::Duration;

use flow_domain::queue::{Event, Outbox};
use flow_manager::driven::postgres::PgQueue;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::TestApp;

pub const PATIENCE: Duration = Duration::from_secs(120);

/// A folder of settings with these flows.
pub fn flows(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("flows")).unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join(format!("flows/{name}.toml")), text).unwrap();
    }
    dir
}

/// Stores events as a fact's transaction does.
pub async fn happened(app: &TestApp, events: &[Event]) {
    PgQueue::new(app.db.pool.clone()).add(events).await.unwrap();
}

pub async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.expect("it never came true");
}

/// Runs of this flow, the newest first.
pub async fn runs_of(app: &TestApp, token: &str, flow: &str) -> Vec<Value> {
    let listed = app.get(&format!("/flow-manager/runs?limit=200&flow={flow}"), token).await.body;
    listed["data"].as_array().unwrap_or_else(|| panic!("{listed}")).clone()
}

pub async fn count(app: &TestApp, sql: &str) -> i64 {
    app.db.pool.client().await.unwrap().query_one(sql, &[]).await.unwrap().get(0)
}
