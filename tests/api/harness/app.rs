//! The service as a process of its own, with a database and a state directory of its own.

use std::fs::File;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::TestDb;

pub const DEMO_PASSWORD: &str = "aFtg&89M";

/// How long the service may take to be ready, and to end.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at something that has no event to wait for.
const PAUSE: Duration = Duration::from_millis(20);

/// Started, ready, stopped with the value; its log is printed when the test fails.
pub struct TestApp {
    pub db: Arc<TestDb>,
    pub base: String,
    pub client: reqwest::Client,
    state: TempDir,
    settings: Vec<(String, String)>,
    process: Child,
    guard: Child,
}

impl TestApp {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With more settings: `("FLOW_LOG_FORMAT", "json")`.
    pub async fn start_with(more: &[(&str, &str)]) -> Self {
        Self::over(Arc::new(TestDb::new().await), more).await
    }

    /// Another service over the same database, with a port and a state directory of its own.
    pub async fn beside(&self, more: &[(&str, &str)]) -> Self {
        Self::over(self.db.clone(), more).await
    }

    async fn over(db: Arc<TestDb>, more: &[(&str, &str)]) -> Self {
        let state = tempfile::tempdir().unwrap();
        let (port, url, dir) = (free_port().to_string(), db.url(), state.path().to_str().unwrap());
        let settings = [
            ("FLOW_DATABASE_URL", url.as_str()),
            ("FLOW_SERVER_PORT", &port),
            ("FLOW_DEMO", "true"),
            ("FLOW_STATE_DIR", dir),
        ];
        let settings = settings.iter().chain(more).map(|(key, value)| (key.to_string(), value.to_string()));
        let settings: Vec<_> = settings.collect();
        let (process, guard) = spawn(&settings, state.path());
        // A redirect is an answer to look at, not to follow.
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let base = format!("http://127.0.0.1:{port}");
        let mut app = Self { db, base, client, state, settings, process, guard };
        app.wait_until_ready().await;
        app
    }

    /// As after a crash: killed, and started again on the same port, database and state directory.
    pub async fn kill_and_restart(&mut self) {
        self.kill();
        self.restart().await;
    }

    /// As a crash.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.end_guard();
    }

    /// Asked to stop, as by a service manager, and ended.
    pub fn terminate(&mut self) {
        self.stop_by(Signal::TERM);
    }

    /// Asked to stop, as by Ctrl-C, and ended.
    pub fn interrupt(&mut self) {
        self.stop_by(Signal::INT);
    }

    fn stop_by(&mut self, signal: Signal) {
        self.signal(signal);
        assert!(self.wait_until_ended(), "it does not stop");
        self.end_guard();
    }

    /// On the same port, database and state directory.
    pub async fn restart(&mut self) {
        (self.process, self.guard) = spawn(&self.settings, self.state.path());
        self.wait_until_ready().await;
    }

    /// Another value of a setting, from the next start on.
    pub fn set(&mut self, key: &str, value: &str) {
        self.settings.push((key.to_owned(), value.to_owned()));
    }

    /// Runs the program with the service's settings, beside it, and answers what it printed.
    pub fn command(&self, arguments: &[&str]) -> String {
        let done = self.command_with(arguments, "");
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    /// The same, with an input, however it ends.
    pub fn command_with(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flow-manager"));
        command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).envs(self.settings());
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // It may end without having read any of it.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// The service's settings, as its environment has them.
    pub fn settings(&self) -> impl Iterator<Item = (&str, &str)> {
        self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    /// With a token, or without for `""`.
    pub async fn get(&self, path: &str, token: &str) -> Answer {
        Answer::to(with(token, self.request(Method::GET, path))).await
    }

    pub async fn post(&self, path: &str, token: &str, body: &Value) -> Answer {
        Answer::to(with(token, self.request(Method::POST, path)).json(body)).await
    }

    /// The demo user's token.
    pub async fn login(&self) -> String {
        let who = json!({"email": "user3784mail@gmail.com", "password": DEMO_PASSWORD});
        let answer = self.post("/login", "", &who).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        answer.body["token"].as_str().unwrap().to_owned()
    }

    /// Posts a flow, by name or as a definition, and waits for its end.
    pub async fn run_flow(&self, token: &str, flow: &Value, input: &Value) -> Answer {
        let request = with(token, self.request(Method::POST, "/flow-manager")).header("Prefer", "wait=60");
        Answer::to(request.json(&json!({"flow": flow, "input": input}))).await
    }

    /// What the service wrote so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.state_dir().join("log")).unwrap()
    }

    /// The most memory that the service has had resident, in KiB.
    pub fn memory_kb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse().unwrap()
    }

    pub fn state_dir(&self) -> PathBuf {
        self.state.path().to_owned()
    }

    pub fn signal(&self, signal: Signal) {
        // Not waited for yet, so the id is still its own; it may have ended by itself.
        let _ = kill_process(Pid::from_child(&self.process), signal);
    }

    async fn wait_until_ready(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok(answer) = self.request(Method::GET, "/readyz").send().await
                && answer.status() == StatusCode::OK
            {
                return;
            }
            let ended = self.process.try_wait().unwrap();
            assert!(ended.is_none(), "the service ended before it was ready: {}", ended.unwrap());
            assert!(Instant::now() < deadline, "the service is not ready after {PATIENCE:?}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn end_guard(&mut self) {
        let _ = self.guard.kill();
        let _ = self.guard.wait();
    }

    /// Whether it ended in time.
    fn wait_until_ended(&mut self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if self.process.try_wait().unwrap().is_some() {
                return true;
            }
            std::thread::sleep(PAUSE);
        }
        false
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.signal(Signal::TERM);
        if !self.wait_until_ended() {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
        self.end_guard();
        if std::thread::panicking() {
            eprintln!("--- the service's log\n{}", self.log());
        }
    }
}

/// Starts the service, its log appended to the state directory's, and a guard that kills it when this process dies
/// without a chance to.
fn spawn(settings: &[(String, String)], state: &Path) -> (Child, Child) {
    let log = File::options().create(true).append(true).open(state.join("log")).unwrap();
    let ours =
        std::env::vars_os().map(|(key, _)| key).filter(|key| key.as_encoded_bytes().starts_with(b"FLOW_"));
    let mut service = Command::new(env!("CARGO_BIN_EXE_flow-manager"));
    ours.for_each(|key| {
        service.env_remove(key);
    });
    service.arg("serve").current_dir(env!("CARGO_MANIFEST_DIR")).envs(settings.iter().map(|(k, v)| (k, v)));
    service.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    let service = service.spawn().unwrap();
    let guard = guard(service.id());
    (service, guard)
}

/// Kills a process when this one dies: the pipe that it reads ends with this process.
pub(super) fn guard(process: u32) -> Child {
    let mut guard = Command::new("sh");
    guard.args(["-c", "read -r _; kill -KILL $1", "guard"]).arg(process.to_string());
    guard.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    guard.spawn().unwrap()
}

/// What came back: JSON where it was JSON, else the text as a JSON string.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Answer {
    pub async fn to(request: RequestBuilder) -> Self {
        let response: Response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Self { status, headers, body }
    }

    /// Checks a refusal's status and stable code, and that it is a problem as the contract has it.
    pub fn refused(&self, status: u16, code: &str) {
        assert_eq!((self.status.as_u16(), self.body["code"].as_str()), (status, Some(code)), "{}", self.body);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(self.body["status"], status);
        assert_eq!(self.headers["x-request-id"].to_str().ok(), self.body["request_id"].as_str());
    }
}

fn with(token: &str, request: RequestBuilder) -> RequestBuilder {
    if token.is_empty() { request } else { request.bearer_auth(token) }
}

/// Below the range from which the kernel gives ports to outgoing connections (32768 on Linux), so that none of the
/// many in these tests takes it before the service does; each process of tests has a hundred of its own.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + u16::try_from(std::process::id() % 120).unwrap() * 100;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed) % 100;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
