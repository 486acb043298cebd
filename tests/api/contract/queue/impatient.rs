//! What becomes of an event whose consumer does not come back.

use super::*;

pub(super) async fn an_event_whose_consumer_died_comes_again(queue: &dyn Both) {
    declare(queue, "mortal", "mortal.made", 9).await;
    queue.publish(&[event("mortal.made", "k", 1)]).await.unwrap();
    let first = one(queue, "mortal").await;
    let second = one(queue, "mortal").await;
    assert_eq!((first.attempt, second.attempt), (1, 2));
    assert_eq!(first.event, second.event);
    queue.ack("mortal", &second).await.unwrap();
}

pub(super) async fn a_late_delivery_settles_nothing(queue: &dyn Both) {
    declare(queue, "slow", "slow.made", 1000).await;
    queue.publish(&[event("slow.made", "k", 1)]).await.unwrap();
    let first = one(queue, "slow").await;
    let second = one(queue, "slow").await;
    queue.ack("slow", &first).await.unwrap();
    queue.bury("slow", &first, "late").await.unwrap();
    assert_eq!(queue.give_back("slow", &first, "late", LONG).await.unwrap(), GivenBack::Late);
    let third = one(queue, "slow").await;
    assert_eq!(third.event, second.event);
    assert_eq!(queue.dead("slow", 10).await.unwrap(), []);
}

pub(super) async fn an_event_that_kills_its_consumers_is_a_dead_letter(queue: &dyn Both) {
    declare(queue, "poison", "poison.made", 2).await;
    queue.publish(&[event("poison.made", "k", 1)]).await.unwrap();
    for attempt in 1..=2 {
        assert_eq!(one(queue, "poison").await.attempt, attempt);
    }
    let letter = dead(queue, "poison").await;
    assert_eq!(letter.attempts, 2);
    assert!(letter.reason.contains("2 times"), "{}", letter.reason);
}
