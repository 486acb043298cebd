//! Flows that start by themselves.

use serde_json::json;

use super::{PATIENCE, RUNS, seen};
use crate::harness::TestApp;

async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !holds().await {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.expect("it never came true");
}

/// Its time passed while nobody was there: moved to the past in the database, as a night without a service does.
#[tokio::test]
async fn a_missed_time_starts_the_flow_once_whoever_is_there() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("flows")).unwrap();
    let text = "name = \"nightly\"\nschedule = { cron = \"0 3 1 1 * Europe/Berlin\", input = { n = 7 } }\n\
                input = { type = \"object\", required = [\"n\"] }\n\
                [[tasks]]\nname = \"a\"\ntask = \"noop\"\ninput.value = \"${input.n}\"\n";
    std::fs::write(dir.path().join("flows/nightly.toml"), text).unwrap();
    let mut app = TestApp::start_with(&[("FLOW_CONFIG_DIR", dir.path().to_str().unwrap())]).await;
    let token = app.login().await;
    let client = app.db.pool.client().await.unwrap();
    let known = async || client.query("select 1 from flow_schedule", &[]).await.unwrap().len() == 1;
    until(known).await;
    assert_eq!(app.get(RUNS, &token).await.body["data"], json!([]), "not before its time");

    let past = "update flow_schedule set next_at = now() - interval '3 days'";
    client.execute(past, &[]).await.unwrap();
    let listed = async || {
        let runs = app.get(RUNS, &token).await.body["data"].as_array().unwrap().clone();
        runs.iter().any(|run| run["flow"] == "nightly")
    };
    until(listed).await;
    let runs = app.get(RUNS, &token).await.body["data"].clone();
    let path = runs[0]["links"]["self"].as_str().unwrap().to_owned();
    let run = seen(&app, &token, &path, |run| !run["finished_at"].is_null()).await;
    assert_eq!((&run["status"], &run["tasks"][0]["output"]["value"]), (&json!("succeeded"), &json!(7)));
    let moved = async || {
        let next = client.query_one("select next_at > now() from flow_schedule", &[]).await.unwrap();
        next.get::<_, bool>(0)
    };
    until(moved).await;
    app.kill_and_restart().await;
    let token = app.login().await;
    assert_eq!(app.get(RUNS, &token).await.body["data"].as_array().unwrap().len(), 1, "once");
}
