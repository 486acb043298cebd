//! The same from a bucket, on a real S3 server that checks signatures: away, slow, and with the wrong key.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use flow_manager::driven::objects::ObjectsSettings;
use object_store::ObjectStore;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::Notify;

use super::bench::{excerpt, rows_of};
use crate::harness::{TestApp, free_port};

const BUCKET: &str = "files";
const ACCESS: &str = "ingest-test";
const SECRET: &str = "correct-horse-battery-staple";

/// A server with one empty bucket, behind a door that can be shut.
pub struct S3 {
    pub door: Arc<Door>,
    pub endpoint: String,
    _process: Child,
    _dir: TempDir,
}

/// What becomes of connections: 0 passed on, 1 answered 503, 2 passed on late.
#[derive(Default)]
pub struct Door {
    pub mode: AtomicU8,
    pub refused: AtomicU32,
    shut: Notify,
}

impl Door {
    /// Connections that are open end, and new ones are answered 503.
    pub fn shut(&self) {
        self.mode.store(1, Ordering::SeqCst);
        self.shut.notify_waiters();
    }
}

impl S3 {
    pub async fn start() -> Self {
        let server = concat!(env!("CARGO_MANIFEST_DIR"), "/.tools/s3/bin/nanio");
        assert!(std::path::Path::new(server).exists(), "the S3 server is missing: run scripts/setup s3");
        let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
        std::fs::create_dir(dir.path().join(BUCKET)).unwrap();
        let mut command = Command::new(server);
        command.args(["serve", "--host", "127.0.0.1", "--no-access-log", "--port", &port.to_string()]);
        command.arg("--data-dir").arg(dir.path()).kill_on_drop(true);
        command.env("NANIO_ACCESS_KEY", ACCESS).env("NANIO_SECRET_KEY", SECRET);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            assert!(Instant::now() < deadline, "the S3 server does not start");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let (door, listener) = (Arc::new(Door::default()), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(keep(listener, port, door.clone()));
        Self { door, endpoint, _process: process, _dir: dir }
    }

    pub fn settings(&self) -> ObjectsSettings {
        ObjectsSettings {
            url: format!("s3://{BUCKET}/in"),
            endpoint: Some(self.endpoint.clone()),
            region: "us-east-1".into(),
            keys: Some((ACCESS.into(), SECRET.into())),
        }
    }

    /// As somebody else would write to it.
    pub fn writer(&self) -> AmazonS3 {
        let builder = AmazonS3Builder::new().with_bucket_name(BUCKET).with_region("us-east-1");
        let builder = builder.with_endpoint(&self.endpoint).with_allow_http(true);
        builder.with_access_key_id(ACCESS).with_secret_access_key(SECRET).build().unwrap()
    }

    pub async fn put(&self, path: &str, content: &str) {
        let path = Path::from(format!("in/{path}"));
        self.writer().put_opts(&path, content.to_owned().into(), Default::default()).await.unwrap();
    }

    pub async fn service_with_right_key(&self) -> TestApp {
        self.service(SECRET).await
    }

    async fn service(&self, secret: &str) -> TestApp {
        let url = format!("s3://{BUCKET}/in");
        TestApp::start_with(&[
            ("FLOW_OBJECTS_URL", &url),
            ("FLOW_OBJECTS_ENDPOINT", &self.endpoint),
            ("FLOW_OBJECTS_ACCESS_KEY", ACCESS),
            ("FLOW_OBJECTS_SECRET_KEY", secret),
        ])
        .await
    }
}

async fn keep(listener: TcpListener, port: u16, door: Arc<Door>) {
    while let Ok((mut client, _)) = listener.accept().await {
        let door = door.clone();
        tokio::spawn(async move {
            match door.mode.load(Ordering::SeqCst) {
                1 => {
                    door.refused.fetch_add(1, Ordering::SeqCst);
                    let _ = client.read(&mut [0; 4096]).await;
                    let answer = b"HTTP/1.1 503 Slow Down\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                    let _ = client.write_all(answer).await;
                    return;
                }
                2 => tokio::time::sleep(Duration::from_millis(400)).await,
                _ => {}
            }
            let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                () = door.shut.notified() => {}
            }
        });
    }
}

async fn ingest(app: &TestApp) -> Value {
    let token = app.login().await;
    app.run_flow(&token, &json!("ingest"), &json!({"dataset": "power-plants"})).await.body
}

async fn plants(app: &TestApp) -> i64 {
    let client = app.db.pool.client().await.unwrap();
    client.query_one("select count(*) from ingested.power_plant", &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_bucket_is_ingested_once_even_when_it_is_slow() {
    let s3 = S3::start().await;
    s3.put("power-plants/2017.csv", &excerpt(2017)).await;
    s3.put("power-plants/sub/2018.csv", &excerpt(2018)).await;
    s3.put("elsewhere/2018.csv", "not ours").await;
    s3.door.mode.store(2, Ordering::SeqCst);
    let app = s3.service(SECRET).await;
    let run = ingest(&app).await;
    let rows = rows_of(&excerpt(2017)) + rows_of(&excerpt(2018));
    assert_eq!(run["status"], "succeeded", "{run}");
    assert_eq!(
        (&run["tasks"][1]["output"]["rows_loaded"], plants(&app).await),
        (&json!(rows), rows),
        "{run}"
    );
    assert_eq!(ingest(&app).await["tasks"][0]["output"]["new"], 0);
}

#[tokio::test]
async fn a_bucket_that_is_away_is_waited_for() {
    let s3 = S3::start().await;
    s3.put("power-plants/2018.csv", &excerpt(2018)).await;
    let app = s3.service(SECRET).await;
    s3.door.mode.store(1, Ordering::SeqCst);
    let back = async {
        let deadline = Instant::now() + Duration::from_secs(60);
        let operator = app.login().await;
        loop {
            let health = app.get("/health", &operator).await;
            if health.body["components"]["objects"]["status"] == "degraded"
                && s3.door.refused.load(Ordering::SeqCst) > 6
            {
                assert_eq!(health.status, 200, "{}", health.body);
                break;
            }
            assert!(Instant::now() < deadline, "{}", health.body);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        s3.door.mode.store(0, Ordering::SeqCst);
    };
    let (run, ()) = tokio::join!(ingest(&app), back);
    assert_eq!(run["status"], "succeeded", "{run}");
    assert!(run["tasks"][0]["attempt"].as_i64() > Some(1), "{run}");
    assert_eq!(plants(&app).await, rows_of(&excerpt(2018)));
}

#[tokio::test]
async fn a_wrong_key_is_said_to_be_one_and_nothing_of_it_is_told() {
    let s3 = S3::start().await;
    s3.put("power-plants/2018.csv", &excerpt(2018)).await;
    let app = s3.service("not-the-secret-key").await;
    let operator = app.login().await;
    let health = app.get("/health", &operator).await.body;
    assert_eq!(health["components"]["objects"]["status"], "degraded", "{health}");
    let run = ingest(&app).await;
    assert_eq!(
        (&run["status"], &run["error"]["code"]),
        (&json!("failed"), &json!("objects.denied")),
        "{run}"
    );
    for text in [run.to_string(), app.log()] {
        assert!(!text.contains("not-the-secret-key") && !run.to_string().contains(&s3.endpoint), "{text}");
    }
}
