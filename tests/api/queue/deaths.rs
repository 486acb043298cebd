//! The service itself killed at one boundary each: its way to RabbitMQ is cut in one direction first, so that it dies
//! between what it did and what it was to say or to hear of it.

use flow_domain::queue::{Delivery, Event, Queue, Subscription};
use flow_manager::driven::rabbitmq::RabbitQueue;
use serde_json::json;

use super::{PATIENCE, count, flows, happened, until};
use crate::harness::{Cable, Cut, TestApp, broker};
use crate::openid::created::created;

const FLOW: &str = "name = \"count\"\non_event = \"guest.came\"\n[[tasks]]\nname = \"a\"\ntask = \"noop\"\n\
    input.value = \"${input.n}\"\n";

struct Bench {
    app: TestApp,
    cable: Cable,
    /// Past the cable.
    queue: RabbitQueue,
    url: String,
    _flows: tempfile::TempDir,
}

impl Bench {
    async fn start() -> Self {
        let url = broker().await.vhost().await;
        let (cable, near) = Cable::lay(&url).await;
        let dir = flows(&[("count", FLOW)]);
        let settings = [("FLOW_CONFIG_DIR", dir.path().to_str().unwrap()), ("FLOW_QUEUE_URL", &near)];
        let app = TestApp::start_with(&settings).await;
        // Once a first event has started its run, all consumers are there.
        happened(&app, &[guest(0)]).await;
        until(async || runs(&app).await == 1).await;
        Self { app, cable, queue: RabbitQueue::new(&url).unwrap(), url, _flows: dir }
    }

    async fn restart(&mut self) {
        self.cable.cut(Cut::Nowhere);
        self.app.restart().await;
    }
}

fn guest(n: u32) -> Event {
    Event::new("guest.came", format!("key-{}", n % 2), json!({"n": n}))
}

async fn runs(app: &TestApp) -> i64 {
    count(app, "select count(*) from flow_run where flow = 'count' and status = 'succeeded'").await
}

async fn deliveries(queue: &RabbitQueue, consumer: &str, number: usize) -> Vec<Delivery> {
    let mut all = Vec::new();
    let looking = async {
        while all.len() < number {
            all.extend(queue.receive(consumer, number - all.len()).await.unwrap());
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.expect("nothing comes");
    all
}

#[tokio::test]
#[ignore = "kills the service"]
async fn killed_after_publishing_and_before_the_confirmation_it_publishes_again() {
    let mut bench = Bench::start().await;
    let spy = Subscription { consumer: "spy".into(), topics: vec!["guest.came".into()], delivery_limit: 9 };
    bench.queue.declare(&spy).await.unwrap();
    bench.cable.cut(Cut::FromServer);
    let events: Vec<Event> = (1..=5).map(guest).collect();
    happened(&bench.app, &events).await;
    for delivery in deliveries(&bench.queue, "spy", 5).await {
        bench.queue.ack("spy", &delivery).await.unwrap();
    }
    assert_eq!(count(&bench.app, "select count(*) from outbox_event").await, 5, "no confirmation is heard");
    bench.app.kill();
    bench.restart().await;
    until(async || count(&bench.app, "select count(*) from outbox_event").await == 0).await;
    let again: Vec<_> = deliveries(&bench.queue, "spy", 5).await.into_iter().map(|one| one.event).collect();
    assert_eq!(again, events, "in their order");
    // What comes last shows that all before it was dealt with.
    happened(&bench.app, &[guest(6)]).await;
    until(async || runs(&bench.app).await == 7).await;
    assert_eq!(count(&bench.app, "select count(distinct input::text) from flow_run").await, 7);
    assert_eq!(bench.queue.bereaved().await.unwrap(), [""; 0]);
}

#[tokio::test]
#[ignore = "kills the service"]
async fn killed_after_the_insert_and_before_the_acknowledgement_it_inserts_nothing_twice() {
    let mut bench = Bench::start().await;
    let users = "select count(*) from app_user where email = 'ada@example.org'";
    bench.cable.cut(Cut::ToServer);
    let user = created("ada").event().unwrap();
    bench.queue.publish(&[user, guest(1), guest(2)]).await.unwrap();
    until(async || runs(&bench.app).await == 3 && count(&bench.app, users).await == 1).await;
    bench.app.kill();
    // Unacknowledged, they come again: seen here by somebody who dies with them in hand as well.
    for (consumer, number) in [("store-user", 1), ("flow:count", 2)] {
        let again = deliveries(&bench.queue, consumer, number).await;
        assert!(again.iter().all(|delivery| delivery.attempt == 2), "{again:?}");
    }
    drop(std::mem::replace(&mut bench.queue, RabbitQueue::new(&bench.url).unwrap()));
    bench.restart().await;
    happened(&bench.app, &[created("bob").event().unwrap(), guest(3)]).await;
    let bob = "select count(*) from app_user where email = 'bob@example.org'";
    until(async || runs(&bench.app).await == 4 && count(&bench.app, bob).await == 1).await;
    assert_eq!(count(&bench.app, users).await, 1);
    assert_eq!(count(&bench.app, "select count(*) from inbox_event where consumer = 'store-user'").await, 2);
    assert_eq!(bench.queue.bereaved().await.unwrap(), [""; 0]);
}
