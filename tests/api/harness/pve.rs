//! A Proxmox VE of a test's own, which makes nothing.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::app::guard;
use super::free_port;

const PATIENCE: Duration = Duration::from_secs(60);

/// Killed with the value, or with this process.
pub struct TestPve {
    port: u16,
    faults: u16,
    process: Child,
    guard: Child,
    dir: TempDir,
}

impl TestPve {
    pub const TOKEN: &str = "root@pam!ci=11111111-2222-3333-4444-555555555555";

    pub async fn start() -> Self {
        let (port, faults, dir) = (free_port(), free_port(), tempfile::tempdir().unwrap());
        let (certificate, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
        openssl.args(["-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]);
        openssl.arg("-keyout").arg(&key).arg("-out").arg(&certificate);
        let made = openssl.stderr(Stdio::null()).status().expect("openssl: `scripts/setup openssl`");
        assert!(made.success());
        let root = env!("CARGO_MANIFEST_DIR");
        let mut command = Command::new("python3");
        command.arg(format!("{root}/tests/api/proxmox/fake.py"));
        command.args([port.to_string(), faults.to_string()]).arg(&certificate).arg(&key);
        command
            .env("PYTHONPATH", format!("{root}/.tools/fakepve"))
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command.stderr(std::fs::File::create(dir.path().join("said")).unwrap());
        let process = command.spawn().expect("fakepve: `scripts/setup fakepve`");
        let guard = guard(process.id());
        let pve = Self { port, faults, process, guard, dir };
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

    pub fn certificate(&self) -> std::path::PathBuf {
        self.dir.path().join("cert.pem")
    }

    pub fn fingerprint(&self) -> String {
        let mut openssl = Command::new("openssl");
        openssl.args(["x509", "-outform", "der", "-in"]).arg(self.certificate());
        let der = openssl.output().unwrap().stdout;
        let digits = flow_domain::hex(Sha256::digest(der)).to_uppercase();
        digits
            .as_bytes()
            .chunks(2)
            .map(|byte| std::str::from_utf8(byte).unwrap())
            .collect::<Vec<_>>()
            .join(":")
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
