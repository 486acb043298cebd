//! A Proxmox VE of a test's own, which makes nothing.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::app::guard;
use super::{Certificate, free_port};

const PATIENCE: Duration = Duration::from_secs(60);

/// Killed with the value, or with this process.
pub struct TestPve {
    port: u16,
    faults: u16,
    process: Child,
    guard: Child,
    dir: TempDir,
    certificate: Certificate,
}

impl TestPve {
    pub const TOKEN: &str = "root@pam!ci=11111111-2222-3333-4444-555555555555";

    /// With a certificate that nobody else vouches for.
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let certificate = Certificate::of_itself(dir.path());
        Self::serve(dir, certificate).await
    }

    pub async fn with(certificate: Certificate) -> Self {
        Self::serve(tempfile::tempdir().unwrap(), certificate).await
    }

    async fn serve(dir: TempDir, certificate: Certificate) -> Self {
        let (port, faults) = (free_port(), free_port());
        let root = env!("CARGO_MANIFEST_DIR");
        let mut command = Command::new("python3");
        command.arg(format!("{root}/tests/api/proxmox/fake.py"));
        command.args([port.to_string(), faults.to_string()]).arg(&certificate.file).arg(&certificate.key);
        command
            .env("PYTHONPATH", format!("{root}/.tools/fakepve"))
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command.stderr(std::fs::File::create(dir.path().join("said")).unwrap());
        let process = command.spawn().expect("fakepve: `scripts/setup fakepve`");
        let guard = guard(process.id());
        let pve = Self { port, faults, process, guard, dir, certificate };
        let start = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", faults)).is_err() {
            let said = std::fs::read_to_string(pve.dir.path().join("said")).unwrap_or_default();
            assert!(start.elapsed() < PATIENCE, "Proxmox VE is not ready: {said}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        pve
    }

    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    pub fn fingerprint(&self) -> String {
        self.certificate.fingerprint()
    }

    /// Its requests so far: `GET /api2/json/version`.
    pub async fn seen(&self) -> Vec<String> {
        let url = format!("http://127.0.0.1:{}/seen", self.faults);
        reqwest::get(url).await.unwrap().json().await.unwrap()
    }

    /// Does something behind everybody's back.
    pub async fn call(&self, method: &str, positional: Value, named: Value) {
        let body = json!({"m": method, "a": positional, "k": named});
        let url = format!("http://127.0.0.1:{}/call", self.faults);
        let answer = reqwest::Client::new().post(url).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{method}: {}", answer.text().await.unwrap());
    }
}

impl Drop for TestPve {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = self.guard.kill();
        let _ = self.guard.wait();
    }
}
