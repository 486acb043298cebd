//! One of several services over a database.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::free_port;

pub struct Service {
    pub base: String,
    pub client: reqwest::Client,
    pub token: String,
    state: TempDir,
    settings: Vec<(String, String)>,
    process: Child,
}

impl Service {
    pub async fn start(database_url: &str) -> Self {
        Self::start_with(database_url, &[]).await
    }

    /// With more settings: `("FLOW_LOG_LEVEL", "debug")`; `""` as the database is the private one.
    pub async fn start_with(database_url: &str, more: &[(&str, &str)]) -> Self {
        let state = tempfile::tempdir().unwrap();
        let (port, dir) = (free_port().to_string(), state.path().join("state"));
        let settings = [
            ("FLOW_DATABASE_URL", database_url),
            ("FLOW_SERVER_PORT", &port),
            ("FLOW_STATE_DIR", dir.to_str().unwrap()),
            ("FLOW_DEMO", "true"),
        ];
        let settings = settings.iter().chain(more).map(|(key, value)| (key.to_string(), value.to_string()));
        let settings: Vec<_> = settings.collect();
        let process = spawn(&settings, &state);
        let client = reqwest::Client::builder().timeout(Duration::from_secs(60)).build().unwrap();
        let base = format!("http://127.0.0.1:{port}");
        let mut service = Self { base, client, token: String::new(), state, settings, process };
        service.ready().await;
        let who = json!({"email": "user3784mail@gmail.com", "password": "aFtg&89M"});
        let answer = service.client.post(format!("{}/login", service.base)).json(&who).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        service.token = answer["token"].as_str().unwrap().to_owned();
        service
    }

    /// Once more after it was killed, with the same port and state directory.
    pub async fn restart(&mut self) {
        self.process = spawn(&self.settings, &self.state);
        self.ready().await;
    }

    pub fn state_dir(&self) -> PathBuf {
        self.settings.iter().rev().find(|(key, _)| key == "FLOW_STATE_DIR").unwrap().1.clone().into()
    }

    async fn ready(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(90);
        while !self.answers(StatusCode::OK).await {
            assert_eq!(self.process.try_wait().unwrap(), None, "{}", self.log());
            assert!(Instant::now() < deadline, "not ready: {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn answers(&self, status: StatusCode) -> bool {
        let asked = self.client.get(format!("{}/readyz", self.base)).send().await;
        asked.is_ok_and(|answer| answer.status() == status)
    }

    /// Starts a flow without waiting; its id if the answer was 2xx. Anything but that or 503 fails the test, and a
    /// service that is not there is as good as 503.
    pub async fn begin(&self, flow: &Value) -> Option<String> {
        self.begin_with(flow, &json!({})).await
    }

    async fn begin_with(&self, flow: &Value, input: &Value) -> Option<String> {
        let request = self.client.post(format!("{}/flow-manager", self.base)).bearer_auth(&self.token);
        let sent = request
            .header("Prefer", "respond-async")
            .json(&json!({"flow": flow, "input": input}))
            .send()
            .await
            .ok()?;
        let (status, again) = (sent.status(), sent.headers().contains_key("retry-after"));
        let body: Value = sent.json().await.ok()?;
        assert!(status.is_success() || status == StatusCode::SERVICE_UNAVAILABLE && again, "{status} {body}");
        status.is_success().then(|| body["id"].as_str().unwrap().to_owned())
    }

    /// The same, for one that must be taken; its path.
    pub async fn begin_path(&self, flow: &Value) -> String {
        format!("/flow-manager/runs/{}", self.begin(flow).await.expect("it is taken"))
    }

    /// A flow by its name.
    pub async fn start_flow(&self, name: &Value, input: &Value) -> String {
        format!("/flow-manager/runs/{}", self.begin_with(name, input).await.expect("it is taken"))
    }

    pub async fn get(&self, path: &str) -> Value {
        let request = self.client.get(format!("{}{path}", self.base)).bearer_auth(&self.token);
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {status} {error}: {text}"))
    }

    /// What it holds of the machine's memory.
    pub fn memory_kb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim_end_matches("kB").trim().parse().unwrap()
    }

    /// Connections to its port that are open, as the kernel counts them.
    pub fn connections(&self) -> usize {
        let port: u16 = self.base.rsplit_once(':').unwrap().1.parse().unwrap();
        let here = format!(":{port:04X}");
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let open = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        open.filter(|fields| fields[1].ends_with(&here) && fields[3] == "01").count()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.state.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            let log = self.log();
            let last: Vec<&str> = log.lines().rev().take(30).collect();
            eprintln!("--- the end of the log of {}", self.base);
            last.iter().rev().for_each(|line| eprintln!("{line}"));
        }
    }
}

/// Its log is kept beside its state directory, which may be full.
fn spawn(settings: &[(String, String)], state: &TempDir) -> Child {
    let log = File::options().create(true).append(true).open(state.path().join("log")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_flow-manager"));
    let ours =
        std::env::vars_os().map(|(key, _)| key).filter(|key| key.as_encoded_bytes().starts_with(b"FLOW_"));
    ours.for_each(|key| {
        command.env_remove(key);
    });
    command
        .arg("serve")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .envs(settings.iter().map(|(key, value)| (key, value)))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log);
    command.spawn().unwrap()
}
