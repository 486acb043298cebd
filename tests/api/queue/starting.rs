//! Flows that events start.

use flow_domain::queue::{Event, Queue};
use flow_manager::driven::postgres::PgQueue;
use flow_manager::driven::rabbitmq::RabbitQueue;
use serde_json::json;

use super::{count, flows, happened, runs_of, until};
use crate::harness::{TestApp, broker};

const GREET: &str = "name = \"greet\"\non_event = \"guest.came\"\nallow = []\n\
    input = { type = \"object\", required = [\"n\"], properties = { n = { type = \"integer\" } } }\n\
    [[tasks]]\nname = \"a\"\ntask = \"noop\"\ninput.value = \"${input.n}\"\n";
/// Hears the same event, and takes any of them.
const COUNT: &str = "name = \"count\"\non_event = \"guest.came\"\n[[tasks]]\nname = \"a\"\ntask = \"noop\"\n";

#[tokio::test]
async fn an_event_starts_its_flows_once_over_postgres() {
    let dir = flows(&[("greet", GREET), ("count", COUNT)]);
    let app = TestApp::start_with(&[("FLOW_CONFIG_DIR", dir.path().to_str().unwrap())]).await;
    let queue = PgQueue::new(app.db.pool.clone());
    an_event_starts_its_flows_once(&app, &queue).await;
}

#[tokio::test]
async fn an_event_starts_its_flows_once_over_rabbitmq() {
    let dir = flows(&[("greet", GREET), ("count", COUNT)]);
    let url = broker().await.vhost().await;
    let settings = [("FLOW_CONFIG_DIR", dir.path().to_str().unwrap()), ("FLOW_QUEUE_URL", &url)];
    let app = TestApp::start_with(&settings).await;
    let queue = RabbitQueue::new(&url).unwrap();
    an_event_starts_its_flows_once(&app, &queue).await;
    assert_eq!(count(&app, "select count(*) from queue_subscription").await, 0, "it is RabbitMQ's");
}

async fn an_event_starts_its_flows_once(app: &TestApp, queue: &dyn Queue) {
    let token = app.login().await;
    let good = Event::new("guest.came", "ada", json!({"n": 7}));
    let bad = Event::new("guest.came", "bob", json!({"n": "many"}));
    // Known to the queue before anything is published.
    let other = Event::new("guest.left", "ada", json!({"n": 7}));
    happened(app, &[good.clone(), bad.clone(), other]).await;
    until(async || runs_of(app, &token, "count").await.len() == 2).await;
    // Ten more copies, in and past the outbox.
    for _ in 0..5 {
        happened(app, std::slice::from_ref(&good)).await;
        queue.publish(std::slice::from_ref(&good)).await.unwrap();
    }
    let last = Event::new("guest.came", "eve", json!({"n": 8}));
    happened(app, std::slice::from_ref(&last)).await;
    until(async || runs_of(app, &token, "count").await.len() == 3).await;
    until(async || runs_of(app, &token, "greet").await.len() == 2).await;
    let runs = runs_of(app, &token, "greet").await;
    let inputs: Vec<_> = runs.iter().map(|run| run["input"].clone()).collect();
    assert_eq!(inputs, [json!({"n": 8}), json!({"n": 7})], "the newest first");

    until(async || !queue.dead("flow:greet", 9).await.unwrap().is_empty()).await;
    assert_eq!(queue.bereaved().await.unwrap(), ["flow:greet"]);
    let letters = queue.dead("flow:greet", 9).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].event.id, letters[0].attempts), (bad.id, 1));
    let reason = &letters[0].reason;
    assert!(reason.starts_with("flow.input_invalid: ") && reason.contains("/input/n"), "{reason}");
}
