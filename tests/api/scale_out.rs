//! Three services and two workers on one PostgreSQL, with RabbitMQ, Redis and nginx: 2,000 flows through the gateway
//! while replicas are killed and started. None is lost and none is done twice.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::harness::{Answer, TestApp, TestRedis, broker, free_port};
use crate::workers::Worker;

const FLOWS: usize = 2000;
/// Who send them, each one after another.
const CALLERS: usize = 20;
/// A caller who is answered by nobody that long gives up.
const PATIENCE: Duration = Duration::from_secs(240);
/// A process that has just started takes over nothing for five seconds: killed faster, nobody would be left to.
const BETWEEN_KILLS: Duration = Duration::from_secs(6);
const PAUSE: Duration = Duration::from_millis(100);

struct Gateway {
    url: String,
    _nginx: Child,
    _dir: TempDir,
}

impl Gateway {
    /// nginx with `config/gateway/nginx.conf`, without its limits: here one address stands for many callers.
    async fn before(services: &[&str]) -> Self {
        let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let servers: String =
            services.iter().map(|at| format!("server {at} max_fails=1 fail_timeout=1s;")).collect();
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/config/gateway/nginx.conf");
        let config = std::fs::read_to_string(file)
            .unwrap()
            .replace("server 127.0.0.1:8080;", &servers)
            .replace("listen 8000;", &format!("listen 127.0.0.1:{port};"))
            .replace("rate=50r/s", "rate=100000r/s")
            .replace("limit_conn open 64;", "limit_conn open 10000;");
        let path = dir.path().join("nginx.conf");
        std::fs::write(&path, config).unwrap();
        let program = ["nginx", "/usr/sbin/nginx"].into_iter().find_map(|program| {
            let mut command = Command::new(program);
            command.arg("-p").arg(dir.path()).arg("-c").arg(&path);
            command.args(["-g", "daemon off; master_process off;"]);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.kill_on_drop(true).spawn().ok()
        });
        let nginx = program.expect("nginx is missing: run scripts/setup nginx");
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tokio::time::sleep(PAUSE).await;
        }
        Self { url: format!("http://127.0.0.1:{port}"), _nginx: nginx, _dir: dir }
    }
}

/// One who sends until it is answered, each time with the flow's own key.
#[derive(Clone)]
struct Caller {
    client: reqwest::Client,
    url: String,
    token: String,
    again: Arc<AtomicUsize>,
}

impl Caller {
    /// The run's id.
    async fn send(&self, number: usize) -> String {
        let body = json!({"flow": {"name": "scale", "tasks": [
            {"name": "store", "task": "store_data", "input": {"dataset": "scale", "rows": [{"n": number}]}},
            {"name": "nap", "task": "sleep", "input": {"seconds": 0.5}},
            {"name": "last", "task": "noop", "input": {"value": number}},
        ]}});
        let trying = async {
            loop {
                let request = self.client.post(format!("{}/flow-manager", self.url));
                let request = request.bearer_auth(&self.token).header("Prefer", "wait=30").json(&body);
                let request = request.header("Idempotency-Key", format!("flow-{number}"));
                if let Ok(answer) = request.send().await {
                    let status = answer.status().as_u16();
                    let answer: Value = answer.json().await.unwrap_or_default();
                    match (status, answer["id"].as_str()) {
                        (200 | 202, Some(id)) => return id.to_owned(),
                        (429 | 502..=504, _) => {}
                        // The body of an answer that was cut off.
                        (200 | 202, None) => {}
                        other => panic!("flow {number}: {other:?} {answer}"),
                    }
                }
                self.again.fetch_add(1, Relaxed);
                tokio::time::sleep(PAUSE).await;
            }
        };
        tokio::time::timeout(PATIENCE, trying).await.expect("nobody answers")
    }
}

async fn number(app: &TestApp, sql: &str) -> i64 {
    let client = app.db.pool.client().await.unwrap();
    client.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: some two minutes, and five services at once"]
async fn two_thousand_flows_through_a_gateway_outlive_their_replicas() {
    let (queue, mut redis) = (broker().await.vhost().await, TestRedis::start());
    let cache = redis.url();
    let settings = [
        ("FLOW_QUEUE_URL", queue.as_str()),
        ("FLOW_CACHE_URL", &cache),
        ("FLOW_SERVER_TRUSTED_PROXIES", "127.0.0.1"),
        ("FLOW_DATABASE_POOL_SIZE", "8"),
    ];
    let first = TestApp::start_with(&settings).await;
    let token = first.login().await;
    let mut services = vec![first];
    for _ in 0..2 {
        services.push(services[0].beside(&settings).await);
    }
    let mut workers: Vec<Worker> = (0..2).map(|_| Worker::beside(&services[0], &settings)).collect();
    let places: Vec<&str> = services.iter().map(|app| app.base.trim_start_matches("http://")).collect();
    let gateway = Gateway::before(&places).await;

    let caller = Caller {
        client: reqwest::Client::new(),
        url: gateway.url.clone(),
        token: token.clone(),
        again: Arc::default(),
    };
    let callers: Vec<_> = (0..CALLERS)
        .map(|first| {
            let caller = caller.clone();
            tokio::spawn(async move {
                let mut sent = BTreeMap::new();
                for flow in (first..FLOWS).step_by(CALLERS) {
                    sent.insert(flow, caller.send(flow).await);
                }
                sent
            })
        })
        .collect();

    let mut kills = (0, 0, 0);
    let mut round = 0;
    while !callers.iter().all(|caller| caller.is_finished()) {
        let service = &mut services[round % 3];
        if round % 3 == 2 {
            service.terminate();
            service.restart().await;
            kills.1 += 1;
        } else {
            service.kill_and_restart().await;
            kills.0 += 1;
        }
        let worker = round % 2;
        workers[worker].kill();
        workers[worker] = Worker::beside(&services[0], &settings);
        kills.2 += 1;
        if round == 2 {
            redis.kill();
            redis.restart();
        }
        round += 1;
        tokio::time::sleep(BETWEEN_KILLS).await;
    }
    let sent: BTreeMap<usize, String> =
        join_all(callers).await.into_iter().flat_map(|sent| sent.unwrap()).collect();

    let waiting = async {
        while number(&services[0], "select count(*) from flow_run where finished_at is null").await > 0 {
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("runs are left that nobody ends");
    let runs = number(&services[0], "select count(*) from flow_run where flow = 'scale'").await;
    let good =
        number(&services[0], "select count(*) from flow_run where flow = 'scale' and status = 'succeeded'")
            .await;
    let rows = number(&services[0], "select count(*) from dataset_row").await;
    let different = number(&services[0], "select count(distinct content ->> 'n') from dataset_row").await;
    let twice = number(
        &services[0],
        "select count(*) from (select from step where status = 'succeeded' group by run_id, name having count(*) > 1) t",
    )
    .await;
    let again = caller.again.load(Relaxed);
    println!(
        "{FLOWS} flows, {runs} runs, {good} succeeded, {rows} rows; services killed {}, stopped {}, workers killed \
         {}; sent again {again}",
        kills.0, kills.1, kills.2
    );
    let all = FLOWS as i64;
    assert_eq!((sent.len(), runs, good), (FLOWS, all, all), "lost or doubled");
    assert_eq!((rows, different, twice), (all, all, 0), "a step was done twice, or not at all");
    assert!(kills.0 >= 4 && kills.1 >= 2 && kills.2 >= 4, "too few were killed to mean anything: {kills:?}");

    // Any replica tells of any run.
    for (flow, id) in sent.iter().step_by(40) {
        let request =
            caller.client.get(format!("{}/flow-manager/runs/{id}", gateway.url)).bearer_auth(&token);
        let run = Answer::to(request).await.body;
        assert_eq!(
            (&run["status"], &run["tasks"][2]["output"]["value"]),
            (&json!("succeeded"), &json!(flow))
        );
    }
}
