//! Behind a real nginx with `config/gateway/nginx.conf`: who is let through, as whom, and what is held back.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

use crate::harness::{Answer, TestApp, free_port};

struct Gateway {
    app: TestApp,
    token: String,
    port: u16,
    _nginx: Child,
    _dir: TempDir,
}

impl Gateway {
    async fn start() -> Self {
        let app = TestApp::start_with(&[("FLOW_SERVER_TRUSTED_PROXIES", "127.0.0.1")]).await;
        let token = app.login().await;
        let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
        // Its worker is not root.
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let beside = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let places = [
            ("127.0.0.1:8080", app.base.trim_start_matches("http://").to_owned()),
            ("127.0.0.1:8081", beside.local_addr().unwrap().to_string()),
            ("listen 8000;", format!("listen 127.0.0.1:{port};")),
            ("client_header_timeout 10s;", "client_header_timeout 1s;".to_owned()),
        ];
        tokio::spawn(echo(beside));
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/config/gateway/nginx.conf");
        let mut config = std::fs::read_to_string(file).unwrap();
        for (place, ours) in places {
            assert_eq!(config.matches(place).count(), 1, "{place}");
            config = config.replace(place, &ours);
        }
        let path = dir.path().join("nginx.conf");
        std::fs::write(&path, config).unwrap();
        let program = ["nginx", "/usr/sbin/nginx"].into_iter().find_map(|program| {
            let mut command = Command::new(program);
            // One process, so that it ends with this one's handle.
            command
                .arg("-p")
                .arg(dir.path())
                .arg("-c")
                .arg(&path)
                .args(["-g", "daemon off; master_process off;"]);
            command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true).spawn().ok()
        });
        let nginx = program.expect("nginx is missing: run scripts/setup nginx");
        let deadline = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            assert!(Instant::now() < deadline, "nginx does not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Self { app, token, port, _nginx: nginx, _dir: dir }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.app.client.request(Method::GET, self.url(path))
    }
}

/// Answers each request with its own head.
async fn echo(listener: TcpListener) {
    while let Ok((mut client, _)) = listener.accept().await {
        tokio::spawn(async move {
            let (mut head, mut byte) = (vec![], [0]);
            while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte).await.unwrap_or(0) == 1 {
                head.push(byte[0]);
            }
            let body = json!(String::from_utf8_lossy(&head)).to_string();
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = client.write_all(answer.as_bytes()).await;
        });
    }
}

#[tokio::test]
async fn whoever_has_a_good_token_is_known_by_headers_that_no_client_can_forge() {
    let gateway = Gateway::start().await;
    let me = Answer::to(gateway.get("/me").bearer_auth(&gateway.token)).await.body;
    let forged = gateway.get("/beside/reports?x=1").bearer_auth(&gateway.token);
    let forged = forged.header("X-User-Id", "somebody").header("X-User-Role", "admin");
    let forged = forged.header("x-user-id", "else").header("X-Forwarded-For", "198.51.100.7");
    let seen = Answer::to(forged).await;
    let head = seen.body.as_str().unwrap().to_lowercase();
    assert!(head.starts_with("get /reports?x=1 "), "{head}");
    let named = |name: &str| -> Vec<&str> {
        head.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).collect()
    };
    assert_eq!(
        (named("x-user-id"), named("x-user-role")),
        (vec![me["id"].as_str().unwrap()], vec!["operator"])
    );
    assert_eq!((named("x-forwarded-for"), named("authorization")), (vec!["127.0.0.1"], vec![]), "{head}");

    let none = Answer::to(gateway.get("/beside/reports").header("X-User-Id", "somebody")).await;
    assert_eq!(none.status, 401, "{}", none.body);
    assert!(none.headers["www-authenticate"].to_str().unwrap().starts_with("Bearer "));
    let bad = Answer::to(gateway.get("/beside/reports").bearer_auth("x.y.z")).await;
    assert_eq!(bad.status, 401);
    assert_eq!(Answer::to(gateway.get("/_verify").bearer_auth(&gateway.token)).await.status, 404);
    // The service itself believes tokens, and no header.
    let claimed = Answer::to(gateway.get("/me").header("X-User-Id", me["id"].as_str().unwrap())).await;
    claimed.refused(401, "auth.token_missing");
}

#[tokio::test]
async fn a_stream_is_handed_on_line_by_line() {
    let gateway = Gateway::start().await;
    let (room, token) = ("/room/lobby", &gateway.token);
    let mut stream =
        gateway.get(&format!("{room}?timeout=60&after=0")).bearer_auth(token).send().await.unwrap();
    for text in ["one", "two"] {
        let post = gateway.app.client.post(gateway.url(room)).bearer_auth(token).json(&json!({"text": text}));
        assert_eq!(Answer::to(post).await.status, 201);
        // The stream stays open for a minute: what comes before that was not kept back.
        let line = async {
            let mut heard = String::new();
            while !heard.contains(text) {
                heard += std::str::from_utf8(&stream.chunk().await.unwrap().expect("it is open")).unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(40), line).await.expect("the gateway keeps lines back");
    }
}

#[tokio::test]
async fn too_much_and_too_slow_are_held_back() {
    let gateway = Gateway::start().await;
    let large = gateway.app.client.post(gateway.url("/flow-manager")).bearer_auth(&gateway.token);
    assert_eq!(Answer::to(large.body("x".repeat((1 << 20) + 1))).await.status, 413);

    let mut slow = TcpStream::connect(("127.0.0.1", gateway.port)).await.unwrap();
    slow.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: ").await.unwrap();
    let mut rest = vec![];
    let closed = tokio::time::timeout(Duration::from_secs(60), slow.read_to_end(&mut rest)).await;
    assert!(closed.is_ok(), "headers may come for ever");

    let wrong = json!({"email": "nobody@example.org", "password": "not this one"});
    let logins = (0..80).map(|_| Answer::to(gateway.app.client.post(gateway.url("/login")).json(&wrong)));
    let answers: Vec<Value> = futures_util::future::join_all(logins)
        .await
        .into_iter()
        .map(|answer| json!(answer.status.as_u16()))
        .collect();
    let refused = answers.iter().filter(|status| **status == json!(429)).count();
    assert!(refused > 20, "{answers:?}");
    // Others are served meanwhile.
    assert_eq!(Answer::to(gateway.get("/livez")).await.status, 200);
}
