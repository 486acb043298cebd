//! `flow-manager queue dead`, over both queues.

use flow_domain::queue::Event;
use serde_json::{Value, json};

use super::{flows, happened, runs_of, until};
use crate::harness::{TestApp, broker};

const STRICT: &str = "name = \"strict\"\non_event = \"guest.came\"\n\
    input = { type = \"object\", required = [\"n\"] }\n[[tasks]]\nname = \"a\"\ntask = \"noop\"\n";

#[tokio::test]
async fn dead_letters_are_shown_retried_and_dropped_over_postgres() {
    let dir = flows(&[("strict", STRICT)]);
    let app = TestApp::start_with(&[("FLOW_CONFIG_DIR", dir.path().to_str().unwrap())]).await;
    dead_letters_are_shown_retried_and_dropped(app, dir).await;
}

#[tokio::test]
async fn dead_letters_are_shown_retried_and_dropped_over_rabbitmq() {
    let url = broker().await.vhost().await;
    let dir = flows(&[("strict", STRICT)]);
    let settings = [("FLOW_CONFIG_DIR", dir.path().to_str().unwrap()), ("FLOW_QUEUE_URL", &url)];
    let app = TestApp::start_with(&settings).await;
    dead_letters_are_shown_retried_and_dropped(app, dir).await;
}

async fn dead_letters_are_shown_retried_and_dropped(mut app: TestApp, dir: tempfile::TempDir) {
    let events = [1, 2, 3].map(|m| Event::new("guest.came", "k", json!({"m": m})));
    let [first, second, third] = events.each_ref().map(|event| event.id.to_string());
    assert_eq!(app.command(&["queue", "dead", "list"]), "");
    happened(&app, &events).await;
    until(async || app.command(&["queue", "dead", "list"]).lines().count() == 3).await;
    let listed = app.command(&["queue", "dead", "list"]);
    let line = listed.lines().next().unwrap();
    assert!(line.starts_with(&format!("flow:strict {first} guest.came 1 ")), "{line}");
    assert!(line.contains("flow.input_invalid") && line.contains("/input"), "{line}");
    let listed = app.command(&["queue", "dead", "list", "--json", "--consumer", "flow:strict"]);
    let object: Value = serde_json::from_str(listed.lines().nth(1).unwrap()).unwrap();
    assert_eq!((&object["event"]["id"], &object["event"]["data"]), (&json!(second), &json!({"m": 2})));
    assert_eq!(app.command(&["queue", "dead", "list", "--consumer", "store-user"]), "");

    let dropped = app.command(&["queue", "dead", "drop", &first]);
    assert!(dropped.contains(&first) && dropped.lines().count() == 1, "{dropped}");
    // The flow is mended: what was a dead letter fits it now.
    let mended = STRICT.replace("required = [\"n\"]", "required = [\"m\"]");
    std::fs::write(dir.path().join("flows/strict.toml"), mended).unwrap();
    app.terminate();
    app.restart().await;
    let retried = app.command(&["queue", "dead", "retry", "--all"]);
    assert!(retried.contains(&second) && retried.contains(&third), "{retried}");
    let token = app.login().await;
    until(async || runs_of(&app, &token, "strict").await.len() == 2).await;
    assert_eq!(app.command(&["queue", "dead", "list"]), "");
}
