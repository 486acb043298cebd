mod impatient;
mod refusing;
mod split;

use std::time::{Duration, Instant};

use flow_domain::queue::{Delivery, Event, GivenBack, Outbox, Queue, Subscription};
use flow_manager::driven::memory::MemoryQueue;
use flow_manager::driven::postgres::PgQueue;
use flow_manager::driven::rabbitmq::RabbitQueue;
use serde_json::json;

use crate::harness::{TestDb, broker};
use impatient::{
    a_late_delivery_settles_nothing, an_event_that_kills_its_consumers_is_a_dead_letter,
    an_event_whose_consumer_died_comes_again,
};
use split::Split;

/// Longer than any test takes: nothing is taken from a consumer by the clock.
const LONG: Duration = Duration::from_secs(600);
/// For consumers that die with an event in hand.
const SHORT: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(60);

trait Both: Queue + Outbox {}
impl<T: Queue + Outbox> Both for T {}

#[tokio::test]
async fn memory_keeps_the_contract() {
    suite(&MemoryQueue::new(LONG)).await;
    impatient_suite(&MemoryQueue::new(SHORT)).await;
}

#[tokio::test]
async fn postgres_keeps_the_contract() {
    let db = TestDb::new().await;
    db.warm().await;
    suite(&PgQueue::new(db.pool.clone()).held_for(LONG)).await;
    impatient_suite(&PgQueue::new(db.pool.clone()).held_for(SHORT)).await;
}

#[tokio::test]
async fn rabbitmq_keeps_the_contract() {
    let (db, url) = (TestDb::new().await, broker().await.vhost().await);
    let with = |held_for| {
        let queue = RabbitQueue::new(&url).unwrap().held_for(held_for);
        Split(queue, PgQueue::new(db.pool.clone()))
    };
    suite(&with(LONG)).await;
    impatient_suite(&with(SHORT)).await;
}

async fn suite(queue: &dyn Both) {
    events_come_as_they_were_and_in_order(queue).await;
    every_consumer_of_a_topic_gets_its_own(queue).await;
    no_more_than_asked_for_is_in_hand(queue).await;
    what_was_acknowledged_does_not_come_again(queue).await;
    one_id_is_kept_once(queue).await;
    what_was_given_back_comes_again_until_its_deliveries_are_used_up(queue).await;
    what_was_given_back_for_later_does_not_come_now(queue).await;
    a_buried_event_is_a_dead_letter_at_once(queue).await;
    dead_letters_are_revived_or_forgotten(queue).await;
    the_outbox_is_relayed_in_order_and_once(queue).await;
    what_the_queue_refuses_stays_in_the_outbox(queue).await;
    consumers_of_one_name_share(queue).await;
}

async fn impatient_suite(queue: &dyn Both) {
    an_event_whose_consumer_died_comes_again(queue).await;
    a_late_delivery_settles_nothing(queue).await;
    an_event_that_kills_its_consumers_is_a_dead_letter(queue).await;
}

async fn declare(queue: &dyn Both, consumer: &str, topic: &str, delivery_limit: u32) {
    let topics = vec![topic.to_owned()];
    queue.declare(&Subscription { consumer: consumer.into(), topics, delivery_limit }).await.unwrap();
}

fn event(topic: &str, key: &str, number: u32) -> Event {
    Event::new(topic, key, json!({"number": number, "text": "é\n'\"\\"}))
}

/// Waits for the next deliveries.
async fn next(queue: &dyn Both, consumer: &str, at_most: usize) -> Vec<Delivery> {
    let started = Instant::now();
    loop {
        let deliveries = queue.receive(consumer, at_most).await.unwrap();
        if !deliveries.is_empty() {
            return deliveries;
        }
        assert!(started.elapsed() < PATIENCE, "nothing comes for {consumer}");
    }
}

/// Waits for so many, which a queue may bring in several goes.
async fn several(queue: &dyn Both, consumer: &str, number: usize) -> Vec<Delivery> {
    let mut deliveries = Vec::new();
    while deliveries.len() < number {
        deliveries.extend(next(queue, consumer, number - deliveries.len()).await);
    }
    deliveries
}

async fn one(queue: &dyn Both, consumer: &str) -> Delivery {
    next(queue, consumer, 1).await.remove(0)
}

/// Waits until a consumer has a dead letter.
async fn dead(queue: &dyn Both, consumer: &str) -> flow_domain::queue::DeadLetter {
    let started = Instant::now();
    loop {
        if let Some(letter) = queue.dead(consumer, 10).await.unwrap().pop() {
            return letter;
        }
        assert!(started.elapsed() < PATIENCE, "no dead letter of {consumer}");
        assert_eq!(queue.receive(consumer, 1).await.unwrap(), []);
    }
}

async fn events_come_as_they_were_and_in_order(queue: &dyn Both) {
    declare(queue, "order", "order.made", 3).await;
    let events: Vec<Event> = (0..20).map(|number| event("order.made", "one", number)).collect();
    queue.publish(&events[..12]).await.unwrap();
    queue.publish(&events[12..]).await.unwrap();
    let mut heard = Vec::new();
    while heard.len() < 20 {
        for delivery in next(queue, "order", 7).await {
            assert_eq!(delivery.attempt, 1);
            queue.ack("order", &delivery).await.unwrap();
            heard.push(delivery.event);
        }
    }
    assert_eq!(heard, events);
}

async fn every_consumer_of_a_topic_gets_its_own(queue: &dyn Both) {
    declare(queue, "left", "both.made", 3).await;
    declare(queue, "right", "both.made", 3).await;
    let (wanted, other) = (event("both.made", "k", 1), event("nobodys.made", "k", 2));
    queue.publish(&[other, wanted.clone()]).await.unwrap();
    for consumer in ["left", "right"] {
        let delivery = one(queue, consumer).await;
        assert_eq!(delivery.event, wanted);
        queue.ack(consumer, &delivery).await.unwrap();
    }
}

async fn no_more_than_asked_for_is_in_hand(queue: &dyn Both) {
    declare(queue, "few", "few.made", 3).await;
    let events: Vec<Event> = (0..5).map(|number| event("few.made", "k", number)).collect();
    queue.publish(&events).await.unwrap();
    let first = next(queue, "few", 2).await;
    assert!(first.len() <= 2, "{first:?}");
    let second = several(queue, "few", 5 - first.len()).await;
    for delivery in first.iter().chain(&second) {
        queue.ack("few", delivery).await.unwrap();
    }
}

async fn what_was_acknowledged_does_not_come_again(queue: &dyn Both) {
    declare(queue, "acked", "acked.made", 3).await;
    queue.publish(&[event("acked.made", "k", 1)]).await.unwrap();
    let delivery = one(queue, "acked").await;
    queue.ack("acked", &delivery).await.unwrap();
    queue.ack("acked", &delivery).await.unwrap();
    let later = queue.give_back("acked", &delivery, "late", Duration::ZERO).await.unwrap();
    assert_eq!(later, GivenBack::Late);
    queue.bury("acked", &delivery, "late").await.unwrap();
    queue.publish(&[event("acked.made", "k", 2)]).await.unwrap();
    let next = one(queue, "acked").await;
    assert_eq!(next.event.data["number"], 2);
    queue.ack("acked", &next).await.unwrap();
    assert_eq!(queue.dead("acked", 10).await.unwrap(), []);
}

async fn one_id_is_kept_once(queue: &dyn Both) {
    declare(queue, "once", "once.made", 3).await;
    let (twin, last) = (event("once.made", "k", 1), event("once.made", "k", 2));
    queue.publish(&[twin.clone(), twin.clone()]).await.unwrap();
    queue.publish(&[twin.clone(), last.clone()]).await.unwrap();
    let heard = several(queue, "once", 2).await;
    assert_eq!(heard.iter().map(|delivery| &delivery.event).collect::<Vec<_>>(), [&twin, &last]);
    for delivery in &heard {
        queue.ack("once", delivery).await.unwrap();
    }
}

async fn what_was_given_back_comes_again_until_its_deliveries_are_used_up(queue: &dyn Both) {
    declare(queue, "limit", "limit.made", 3).await;
    let sent = event("limit.made", "k", 1);
    queue.publish(std::slice::from_ref(&sent)).await.unwrap();
    for attempt in 1..=3 {
        let delivery = one(queue, "limit").await;
        assert_eq!((delivery.attempt, &delivery.event), (attempt, &sent));
        let reason = format!("no {attempt}\0");
        let given = queue.give_back("limit", &delivery, &reason, Duration::ZERO).await.unwrap();
        assert_eq!(given, if attempt < 3 { GivenBack::Again } else { GivenBack::Dead });
    }
    let letter = dead(queue, "limit").await;
    assert_eq!((letter.attempts, &letter.event), (3, &sent));
    assert!(letter.reason.starts_with("no 3"), "{}", letter.reason);
}

async fn what_was_given_back_for_later_does_not_come_now(queue: &dyn Both) {
    declare(queue, "later", "later.made", 3).await;
    queue.publish(&[event("later.made", "k", 1)]).await.unwrap();
    let first = one(queue, "later").await;
    let given = queue.give_back("later", &first, "not now", LONG).await.unwrap();
    assert_eq!(given, GivenBack::Again);
    queue.publish(&[event("later.made", "k", 2)]).await.unwrap();
    let heard = next(queue, "later", 9).await;
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0].event.data["number"], 2);
    queue.ack("later", &heard[0]).await.unwrap();
}

async fn a_buried_event_is_a_dead_letter_at_once(queue: &dyn Both) {
    declare(queue, "buried", "buried.made", 3).await;
    queue.publish(&[event("buried.made", "k", 1)]).await.unwrap();
    let delivery = one(queue, "buried").await;
    queue.bury("buried", &delivery, "cannot be read").await.unwrap();
    let letter = dead(queue, "buried").await;
    assert_eq!((letter.attempts, &*letter.reason), (1, "cannot be read"));
    assert_eq!(queue.bereaved().await.unwrap(), ["buried", "limit"]);
    assert_eq!(queue.dead("nobody", 10).await.unwrap(), []);
}

async fn dead_letters_are_revived_or_forgotten(queue: &dyn Both) {
    let id = dead(queue, "buried").await.event.id;
    assert!(queue.revive("buried", id).await.unwrap());
    assert!(!queue.revive("buried", id).await.unwrap());
    assert_eq!(queue.dead("buried", 10).await.unwrap(), []);
    let delivery = one(queue, "buried").await;
    assert_eq!((delivery.attempt, delivery.event.id), (1, id));
    queue.bury("buried", &delivery, "still not").await.unwrap();
    assert!(queue.forget("buried", id).await.unwrap());
    assert!(!queue.forget("buried", id).await.unwrap());
    assert!(!queue.revive("buried", id).await.unwrap());
}

async fn the_outbox_is_relayed_in_order_and_once(queue: &dyn Both) {
    declare(queue, "relayed", "relayed.made", 3).await;
    let events: Vec<Event> = (0..10).map(|number| event("relayed.made", "k", number)).collect();
    queue.add(&events[..6]).await.unwrap();
    queue.add(&[events[5].clone(), events[6].clone()]).await.unwrap();
    queue.add(&events[7..]).await.unwrap();
    assert_eq!(queue.relay(queue, 4).await.unwrap(), 4);
    assert_eq!(queue.relay(queue, 100).await.unwrap(), 6);
    assert_eq!(queue.relay(queue, 100).await.unwrap(), 0);
    let heard = several(queue, "relayed", 10).await;
    assert_eq!(heard.iter().map(|delivery| delivery.event.clone()).collect::<Vec<_>>(), events);
    for delivery in &heard {
        queue.ack("relayed", delivery).await.unwrap();
    }
}

async fn what_the_queue_refuses_stays_in_the_outbox(queue: &dyn Both) {
    declare(queue, "refused", "refused.made", 3).await;
    queue.add(&[event("refused.made", "k", 1)]).await.unwrap();
    assert!(queue.relay(&refusing::Refusing, 10).await.is_err());
    assert_eq!(queue.relay(queue, 10).await.unwrap(), 1);
    let delivery = one(queue, "refused").await;
    queue.ack("refused", &delivery).await.unwrap();
}

async fn consumers_of_one_name_share(queue: &dyn Both) {
    declare(queue, "shared", "shared.made", 3).await;
    let events: Vec<Event> = (0..40).map(|number| event("shared.made", "k", number)).collect();
    queue.publish(&events).await.unwrap();
    let takers = (0..4).map(|_| async {
        let mut heard = Vec::new();
        for _ in 0..5 {
            for delivery in queue.receive("shared", 2).await.unwrap() {
                queue.ack("shared", &delivery).await.unwrap();
                heard.push(delivery.event.id);
            }
        }
        heard
    });
    let mut heard = futures_util::future::join_all(takers).await.concat();
    // Two that look at the same moment may each find less than they asked for.
    while heard.len() < events.len() {
        for delivery in next(queue, "shared", 9).await {
            queue.ack("shared", &delivery).await.unwrap();
            heard.push(delivery.event.id);
        }
    }
    let all = heard.len();
    heard.sort();
    heard.dedup();
    assert_eq!((all, heard.len()), (40, 40));
}
