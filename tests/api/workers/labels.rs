//! Which process takes which run.

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
