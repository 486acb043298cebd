//! The state directory's disk is full. Each test has a small file system in memory of its own, which only root may
//! mount: without the right to, it says so and ends.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::service::Service;
use super::{all_ended, connect};
use crate::harness::TestDb;

const PATIENCE: Duration = Duration::from_secs(90);

/// A small disk, unmounted when dropped.
pub struct Disk(tempfile::TempDir);

impl Disk {
    pub fn mount(megabytes: usize) -> Option<Self> {
        let dir = tempfile::Builder::new().prefix("fm-disk-").tempdir().unwrap();
        let options = format!("size={megabytes}m,mode=755");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(dir.path()).status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(dir));
        }
        println!("not tried: this user may mount no disk");
        None
    }

    fn state(&self) -> String {
        self.0.path().join("state").to_str().unwrap().to_owned()
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    fn filler(&self) -> PathBuf {
        self.0.path().join("filler")
    }

    pub fn fill(&self) {
        let mut filler = File::options().append(true).create(true).open(self.filler()).unwrap();
        for size in [1 << 20, 4096, 1] {
            while filler.write_all(&vec![0; size]).is_ok() {}
        }
    }

    pub fn free(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn flow() -> Value {
    json!({"name": "on-disk", "tasks": [
        {"name": "kept", "task": "store_data", "input": {"dataset": "kept", "rows": [{"n": 1}]}},
        {"name": "place", "task": "create_directory", "input": {"lab": "full"}},
        {"name": "program", "task": "exec", "input": {"program": "true"}}]})
}

async fn run(service: &Service, flow: &Value) -> Value {
    ended(service, &service.begin_path(flow).await).await
}

async fn ended(service: &Service, path: &str) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let run = service.get(path).await;
        if !run["finished_at"].is_null() {
            return run;
        }
        assert!(Instant::now() < deadline, "{run}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn state_dir_health(service: &Service) -> String {
    let health = service.get("/health").await;
    health["components"]["state_dir"]["status"].as_str().unwrap_or_default().to_owned()
}

async fn until_health(service: &Service, wanted: &str) {
    let deadline = Instant::now() + PATIENCE;
    while state_dir_health(service).await != wanted {
        assert!(Instant::now() < deadline, "the state directory is never {wanted}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long"]
async fn steps_on_a_full_disk_fail_clearly_and_are_taken_back() {
    let Some(disk) = Disk::mount(64) else { return };
    let db = TestDb::new().await;
    let state = disk.state();
    let settings = [("FLOW_STATE_DIR", state.as_str()), ("FLOW_EXEC_ALLOW", "true=/bin/true")];
    let service = Service::start_with(&db.url(), &settings).await;
    let before = run(&service, &flow()).await;
    assert_eq!(before["status"], "succeeded", "{before}");
    until_health(&service, "healthy").await;

    disk.fill();
    until_health(&service, "degraded").await;
    let failed = run(&service, &flow()).await;
    assert_eq!((&failed["status"], &failed["cause"]), (&json!("undone"), &json!("failure")), "{failed}");
    assert_eq!(failed["error"]["code"], "disk.full", "{failed}");
    let why = service.get(&format!("/flow-manager/runs/{}/why", failed["id"].as_str().unwrap())).await;
    assert!(why.to_string().contains("disk.full"), "{why}");
    let lab = service.start_flow(&json!("lab-launch"), &json!({"lab": "hello-terraform"})).await;
    let lab = ended(&service, &lab).await;
    assert_eq!(lab["cause"], "failure", "{lab}");
    let client = connect(&db.config).await;
    let kept = "select count(*) from dataset_part p join flow_run r on r.id = p.run_id where r.status <> 'succeeded'";
    assert_eq!(client.query_one(kept, &[]).await.unwrap().get::<_, i64>(0), 0, "what was done is taken back");

    disk.free();
    until_health(&service, "healthy").await;
    // What could not be taken back for want of room can be now.
    if lab["status"] == "undo_failed" {
        let path = lab["links"]["self"].as_str().unwrap();
        let undo = service.client.post(format!("{}{path}/undo", service.base)).bearer_auth(&service.token);
        assert_eq!(undo.send().await.unwrap().status(), 202);
        assert_eq!(ended(&service, path).await["status"], "undone");
    }
    let after = run(&service, &flow()).await;
    assert_eq!(after["status"], "succeeded", "{after}");
    all_ended(&db.config, PATIENCE).await;
    println!(
        "filled the state directory's disk: a program's run ended {} by {}, a lab's by {}, what was done is taken back; with room \
         again the next succeeded; lost: nothing",
        failed["status"], failed["error"]["code"], lab["error"]["code"]
    );
}

/// The private PostgreSQL's disk: whoever asks is told to come back, and what was taken is driven to its end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long"]
async fn the_private_database_on_a_full_disk_refuses_and_recovers() {
    let Some(disk) = Disk::mount(400) else { return };
    let state = disk.state();
    let service = Service::start_with("", &[("FLOW_STATE_DIR", &state)]).await;
    let rows: Vec<Value> = (0..2000).map(|number| json!({"n": number, "text": "x".repeat(200)})).collect();
    let flow = json!({"name": "fills", "tasks": [
        {"name": "store", "task": "store_data", "input": {"dataset": "much", "rows": rows}},
        {"name": "nap", "task": "sleep", "input": {"seconds": 0.2}}]});
    assert_eq!(run(&service, &flow).await["status"], "succeeded");

    disk.fill();
    let (mut taken, mut refused) = (Vec::new(), 0);
    let deadline = Instant::now() + PATIENCE;
    while refused < 5 {
        match service.begin(&flow).await {
            Some(id) => taken.push(id),
            None => refused += 1,
        }
        assert!(Instant::now() < deadline, "{} taken on a full disk, {refused} refused", taken.len());
    }
    let alive = service.client.get(format!("{}/livez", service.base)).send().await.unwrap();
    assert_eq!(alive.status(), 200, "the service lives");

    disk.free();
    let back = Instant::now();
    let mut after = None;
    while after.is_none() {
        after = service.begin(&flow).await;
        assert!(back.elapsed() < PATIENCE, "it does not come back: {}", service.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let took = back.elapsed();
    for id in taken.iter().chain(&after) {
        let run = ended(&service, &format!("/flow-manager/runs/{id}")).await;
        assert_eq!(run["status"], "succeeded", "{run}");
    }
    println!(
        "filled the private database's disk: {} runs taken on what was left, then {refused} refused by 503; with room \
         again the next was taken after {took:?} and all {} succeeded; lost: nothing",
        taken.len(),
        taken.len() + 1
    );
}
