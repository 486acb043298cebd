//! `flow-manager work`: processes beside the service that do its work.

mod ingesting;
mod labels;
mod sharing;
mod watched;

use std::fs::File;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::flows::start;
use crate::harness::TestApp;

/// A worker beside a service: killed with the value.
pub struct Worker {
    process: Child,
    guard: Child,
    state: TempDir,
}

impl Worker {
    /// With the service's database, a state directory of its own, and these settings.
    pub fn beside(app: &TestApp, more: &[(&str, &str)]) -> Self {
        Self::over(&app.db.url(), more)
    }

    /// With a database that need not be there.
    pub fn over(database: &str, more: &[(&str, &str)]) -> Self {
        let state = tempfile::tempdir().unwrap();
        let log = File::create(state.path().join("log")).unwrap();
        let mut worker = Command::new(env!("CARGO_BIN_EXE_flow-manager"));
        std::env::vars_os().map(|(key, _)| key).for_each(|key| {
            if key.as_encoded_bytes().starts_with(b"FLOW_") {
                worker.env_remove(key);
            }
        });
        worker.arg("work").current_dir(env!("CARGO_MANIFEST_DIR")).envs(more.iter().copied());
        worker.env("FLOW_DATABASE_URL", database).env("FLOW_STATE_DIR", state.path());
        worker.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let process = worker.spawn().unwrap();
        // Should this process be killed, its pipe ends and the guard kills the worker.
        let mut guard = Command::new("sh");
        guard.args(["-c", "read -r _; kill -KILL $1", "guard"]).arg(process.id().to_string());
        guard.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Self { process, guard: guard.spawn().unwrap(), state }
    }

    /// As a crash.
    pub fn kill(&mut self) {
        // It may have been killed before.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = self.guard.kill();
        let _ = self.guard.wait();
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.state.path().join("log")).unwrap()
    }

    pub fn is_ready(&self) -> bool {
        self.log().contains("ready to work")
    }

    /// How many runs it took.
    pub fn taken(&self) -> usize {
        self.log().lines().filter(|line| line.contains(" epoch=")).count()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- a worker's log\n{}", self.log());
        }
    }
}

/// Starts so many runs of a definition and does not wait; their addresses.
pub async fn begin_many(app: &TestApp, token: &str, flow: &Value, number: usize) -> Vec<String> {
    let mut paths = Vec::new();
    for _ in 0..number {
        let body = json!({"flow": flow});
        let answer = start(app, token, &body, &[("Prefer", "respond-async")]).await;
        assert_eq!(answer.status.as_u16(), 202, "{}", answer.body);
        paths.push(answer.body["links"]["self"].as_str().unwrap().to_owned());
    }
    paths
}
