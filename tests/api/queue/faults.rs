//! RabbitMQ and the service killed while events flow: counted at the end, nothing is lost and nothing done twice.

use flow_domain::queue::{Event, Queue};
use flow_manager::driven::rabbitmq::RabbitQueue;
use serde_json::json;

use super::{count, flows, happened, until};
use crate::harness::{Broker, TestApp, broker};

const EVENTS: u32 = 300;
const FLOW: &str = "name = \"count\"\non_event = \"guest.came\"\n[[tasks]]\nname = \"a\"\ntask = \"noop\"\n\
    input.value = \"${input.n}\"\n";

fn events(numbers: std::ops::Range<u32>) -> Vec<Event> {
    numbers.map(|n| Event::new("guest.came", format!("key-{}", n % 7), json!({"n": n}))).collect()
}

async fn runs(app: &TestApp) -> i64 {
    count(app, "select count(*) from flow_run").await
}

async fn each_event_started_one_run(app: &TestApp, url: &str) {
    until(async || runs(app).await >= i64::from(EVENTS)).await;
    until(async || count(app, "select count(*) from outbox_event").await == 0).await;
    until(async || count(app, "select count(*) from flow_run where finished_at is null").await == 0).await;
    let different = "select count(distinct input::text) from flow_run where status = 'succeeded'";
    assert_eq!((runs(app).await, count(app, different).await), (EVENTS.into(), EVENTS.into()));
    assert_eq!(RabbitQueue::new(url).unwrap().bereaved().await.unwrap(), [""; 0]);
}

#[tokio::test]
#[ignore = "kills RabbitMQ, which takes ten seconds to start, and restarts it twice"]
async fn a_broker_that_is_killed_loses_and_doubles_nothing() {
    let mut broker = Broker::private().await;
    let url = broker.vhost().await;
    let dir = flows(&[("count", FLOW)]);
    let settings = [("FLOW_CONFIG_DIR", dir.path().to_str().unwrap()), ("FLOW_QUEUE_URL", &url)];
    let app = TestApp::start_with(&settings).await;
    happened(&app, &events(0..1)).await;
    until(async || runs(&app).await == 1).await;
    broker.restart().await;
    happened(&app, &events(1..100)).await;
    // In the middle of the first hundred, published or consumed.
    until(async || runs(&app).await > 10).await;
    broker.kill();
    happened(&app, &events(100..200)).await;
    assert!(runs(&app).await < 200);
    assert!(count(&app, "select count(*) from outbox_event").await >= 100, "they wait in the outbox");
    broker.start_again().await;
    until(async || runs(&app).await > 110).await;
    happened(&app, &events(200..EVENTS)).await;
    broker.restart().await;
    each_event_started_one_run(&app, &url).await;
}

#[tokio::test]
#[ignore = "kills the service five times"]
async fn a_service_that_is_killed_loses_and_doubles_nothing() {
    let url = broker().await.vhost().await;
    let dir = flows(&[("count", FLOW)]);
    let settings = [("FLOW_CONFIG_DIR", dir.path().to_str().unwrap()), ("FLOW_QUEUE_URL", &url)];
    let mut app = TestApp::start_with(&settings).await;
    for part in 0..5 {
        let all = EVENTS / 5;
        happened(&app, &events(part * all..(part + 1) * all)).await;
        // Some are published and not forgotten, some have started their run and are not acknowledged.
        until(async || runs(&app).await > i64::from(part * all + 5)).await;
        app.kill_and_restart().await;
    }
    each_event_started_one_run(&app, &url).await;
}
