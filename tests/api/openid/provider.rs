//! The certified provider as a process.

use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::REDIRECT;
use crate::harness::free_port;

pub struct Provider {
    pub issuer: String,
    process: Child,
}

impl Provider {
    pub async fn start() -> Self {
        let (root, port) = (env!("CARGO_MANIFEST_DIR"), free_port());
        let modules = format!("{root}/.tools/provider");
        assert!(std::path::Path::new(&modules).exists(), "the provider is missing: run scripts/setup");
        let own = format!("{root}/.tools/node/bin/node");
        let node = if std::path::Path::new(&own).exists() { own } else { "node".to_owned() };
        let code = std::fs::read_to_string(format!("{root}/tests/provider/provider.mjs")).unwrap();
        let mut command = Command::new(node);
        // Its imports are looked for from the working directory on. It ends with the pipe on its standard input.
        command.args(["--input-type=module", "-e", &code]).current_dir(modules).kill_on_drop(true);
        command.env("PROVIDER", json!({"port": port, "redirectUri": REDIRECT}).to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().expect("node: run scripts/setup");
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let ready = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if line == "ready" {
                    return true;
                }
            }
            false
        };
        let ready = tokio::time::timeout(Duration::from_secs(60), ready).await;
        assert_eq!(ready, Ok(true), "the provider does not start");
        // It dies of a pipe that nobody reads.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { issuer: format!("http://127.0.0.1:{port}"), process }
    }

    /// From here on it signs with another key, and forgets the one before.
    pub async fn rotate_keys(&self) {
        let answer = reqwest::Client::new().post(format!("{}/keys", self.issuer)).send().await.unwrap();
        assert_eq!(answer.status(), 204);
    }

    pub async fn stop(mut self) {
        self.process.kill().await.unwrap();
    }
}
