//! Which process takes which run.

use std::process::Command;

use serde_json::json;

use super::{Worker, begin_many};
use crate::flows::{ended, naps, seen};
use crate::harness::{TestApp, broker};
use crate::queue::until;

#[tokio::test]
async fn a_run_goes_to_a_process_with_its_label_over_postgres() {
    let app = TestApp::start_with(&[("FLOW_WORKER_ENABLED", "false")]).await;
    a_run_goes_to_a_process_with_its_label(&app, &[]).await;
}

#[tokio::test]
async fn a_run_goes_to_a_process_with_its_label_over_rabbitmq() {
    let url = broker().await.vhost().await;
    let queue = ("FLOW_QUEUE_URL", url.as_str());
    let app = TestApp::start_with(&[("FLOW_WORKER_ENABLED", "false"), queue]).await;
    a_run_goes_to_a_process_with_its_label(&app, &[queue]).await;
}

async fn a_run_goes_to_a_process_with_its_label(app: &TestApp, more: &[(&str, &str)]) {
    let token = app.login().await;
    let (plain, mut labelled) = (naps(0.0), naps(0.0));
    labelled["runs_on"] = json!("build");
    let path = begin_many(app, &token, &labelled, 1).await.remove(0);
    let why = app.get(&format!("{path}/why"), &token).await.body;
    assert_eq!(why["blocked_by"], json!({"kind": "no_worker", "runs_on": "build"}), "{why}");

    let unlabelled = Worker::beside(app, more);
    until(async || unlabelled.is_ready()).await;
    for plain in begin_many(app, &token, &plain, 3).await {
        assert_eq!(ended(app, &token, &plain).await["status"], "succeeded");
    }
    let why = app.get(&format!("{path}/why"), &token).await.body;
    let sentence = why["sentence"].as_str().unwrap();
    assert!(sentence.contains("No live process has the label \"build\""), "{sentence}");

    let builder = Worker::beside(app, &[more, &[("FLOW_WORKER_LABELS", "build,other")]].concat());
    let run = seen(app, &token, &path, |run| !run["finished_at"].is_null()).await;
    assert_eq!(run["status"], "succeeded");
    for path in begin_many(app, &token, &labelled, 5).await {
        assert_eq!(ended(app, &token, &path).await["status"], "succeeded");
    }
    assert_eq!((unlabelled.taken(), builder.taken()), (3, 6));
    assert!(!app.log().contains(" epoch="), "the service takes none itself");
}

/// `serve` does other work itself, and needs no terraform.
#[tokio::test]
async fn lab_flows_with_a_label_go_to_the_build_server_from_launch_to_finish() {
    let config = lab_flows_on("build");
    let key = "ab".repeat(32);
    let shared = [("FLOW_CONFIG_DIR", config.path().to_str().unwrap()), ("FLOW_STATE_KEY", &key)];
    let app = TestApp::start_with(&shared).await;
    let token = app.login().await;
    let lab = "/labs/hello-terraform";
    let launch = app.post(&format!("{lab}/launch"), &token, &json!({})).await;
    assert_eq!(launch.status.as_u16(), 202, "{}", launch.body);
    let run = launch.body["links"]["self"].as_str().unwrap().to_owned();
    let why = app.get(&format!("{run}/why"), &token).await.body;
    assert_eq!(why["blocked_by"], json!({"kind": "no_worker", "runs_on": "build"}), "{why}");
    assert!(why["sentence"].as_str().unwrap().contains("label \"build\""), "{why}");
    // A flow without a label does not wait for the build server.
    let plain = begin_many(&app, &token, &naps(0.0), 1).await.remove(0);
    assert_eq!(ended(&app, &token, &plain).await["status"], "succeeded");

    let builder = Worker::beside(&app, &[&shared[..], &[("FLOW_WORKER_LABELS", "build")]].concat());
    assert_eq!(ended(&app, &token, &run).await["status"], "succeeded");
    for step in ["submit", "finish"] {
        let answer = app.post(&format!("{lab}/{step}"), &token, &json!({})).await;
        let run = answer.body["links"]["self"].as_str().unwrap_or_else(|| panic!("{}", answer.body));
        assert_eq!(ended(&app, &token, run).await["status"], "succeeded");
    }
    assert_eq!(builder.taken(), 3);
    let taken: Vec<_> =
        app.log().lines().filter(|line| line.contains(" epoch=")).map(str::to_owned).collect();
    assert!(taken.len() == 1 && !taken[0].contains("lab-"), "{taken:?}");
}

/// The shipped settings, each lab flow with this label.
fn lab_flows_on(label: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/config");
    let copied = Command::new("cp").args(["-r", &format!("{shipped}/.")]).arg(dir.path()).status().unwrap();
    assert!(copied.success());
    for flow in ["launch", "submit", "finish", "reset"] {
        let path = dir.path().join(format!("flows/lab-{flow}.toml"));
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("runs_on = \"{label}\"\n{text}")).unwrap();
    }
    dir
}
