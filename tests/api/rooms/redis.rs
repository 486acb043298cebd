//! Replicas that tell each other of messages by Redis, which comes and goes.

use std::time::Duration;

use flow_domain::rooms::{RoomStore, Signal};
use flow_domain::users::Role;
use flow_manager::driven::postgres::pool::session_config;
use flow_manager::driven::postgres::{PgRoomStore, PoolSettings};
use futures_util::StreamExt;
use serde_json::json;
use tokio::time::timeout;

use super::{PATIENCE, Stream, delete, people, say, token_of};
use crate::harness::{TestApp, TestRedis};

async fn two(redis: &str) -> [TestApp; 2] {
    let settings = [
        ("FLOW_AUTH_SECRET", people::SECRET),
        ("FLOW_ROOMS_POSTS_PER_MINUTE", "1000000"),
        ("FLOW_CACHE_URL", redis),
    ];
    let first = TestApp::start_with(&settings).await;
    let second = first.beside(&settings).await;
    [first, second]
}

/// What operators hear of the cache.
async fn cache(app: &TestApp, token: &str) -> (String, Option<String>) {
    let health = app.get("/health", token).await;
    assert_eq!(health.status, 200, "the service works without its cache");
    let cache = &health.body["components"]["cache"];
    (cache["status"].as_str().unwrap().to_owned(), cache["detail"].as_str().map(str::to_owned))
}

async fn until_cache_is(app: &TestApp, token: &str, wanted: &str) {
    let wait = async {
        while cache(app, token).await.0 != wanted {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("the cache is not {wanted}"));
}

async fn subscribed(redis: &TestRedis) -> redis::aio::PubSub {
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_async_pubsub().await.unwrap();
    connection.subscribe("flow-manager:0:room").await.unwrap();
    connection
}

#[tokio::test]
async fn redis_carries_numbers_and_spares_the_database_its_notifications() {
    let redis = TestRedis::start();
    let [one, other] = two(&redis.url()).await;
    let operator = one.login().await;
    for app in [&one, &other] {
        until_cache_is(app, &operator, "healthy").await;
    }
    let session = session_config(&one.db.config, &PoolSettings::default());
    let mut notified = PgRoomStore::new(one.db.pool.clone(), &session).signals();
    assert_eq!(timeout(PATIENCE, notified.recv()).await.unwrap(), Some(Signal::Anything));
    let mut told = subscribed(&redis).await.into_on_message();
    let token = token_of(Role::Anonymous, Some("ann"));
    let mut reader = Stream::open(&one.base, "/room/lobby", &token, &[]).await;
    for number in 1..=20 {
        say(&other, &token, "lobby", &format!("message {number}")).await;
        let heard = timeout(PATIENCE, told.next()).await.expect("Redis tells of it").unwrap();
        assert_eq!(heard.get_payload::<String>().unwrap(), format!("lobby {number}"));
        assert_eq!(reader.texts(1).await, [format!("message {number}")]);
    }
    delete(&other, &token, "/room/lobby/me").await;
    let first = timeout(PATIENCE, notified.recv()).await.unwrap();
    assert!(matches!(first, Some(Signal::Left(_))), "of messages the database tells nothing: {first:?}");
}

#[tokio::test]
async fn a_redis_that_is_killed_or_hangs_loses_no_message() {
    let mut redis = TestRedis::start();
    let [one, other] = two(&redis.url()).await;
    let operator = one.login().await;
    let token = token_of(Role::Anonymous, Some("ann"));
    let mut reader = Stream::open(&one.base, "/room/lobby", &token, &[]).await;
    for number in 0..60 {
        match number {
            10 => redis.kill(),
            20 => redis.restart(),
            30 => {
                until_cache_is(&one, &operator, "healthy").await;
                until_cache_is(&other, &operator, "healthy").await;
            }
            40 => redis.hang(),
            50 => redis.go_on(),
            _ => {}
        }
        say(&other, &token, "lobby", &number.to_string()).await;
    }
    let read = reader.texts(60).await;
    assert_eq!(read, (0..60).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_false_number_on_the_wire_hides_no_message() {
    let redis = TestRedis::start();
    let [one, other] = two(&redis.url()).await;
    let operator = one.login().await;
    until_cache_is(&one, &operator, "healthy").await;
    let mut told = subscribed(&redis).await.into_on_message();
    let token = token_of(Role::Anonymous, Some("ann"));
    let mut reader = Stream::open(&one.base, "/room/lobby", &token, &[]).await;
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    for number in 0..10 {
        for false_one in ["lobby 9223372036854775807", "lobby 3", "nonsense", "lobby x", "../ 1"] {
            let publish = redis::cmd("PUBLISH").arg("flow-manager:0:room").arg(false_one).to_owned();
            publish.query_async::<i64>(&mut connection).await.unwrap();
            timeout(PATIENCE, told.next()).await.unwrap();
        }
        say(&other, &token, "lobby", &number.to_string()).await;
        assert_eq!(reader.texts(1).await, [number.to_string()]);
    }
}

#[tokio::test]
async fn with_a_wrong_password_the_service_starts_and_says_so() {
    let redis = TestRedis::start();
    let [one, other] = two(&redis.url_with("wr0ng-password")).await;
    let operator = one.login().await;
    let said = Some("Redis refuses the password of cache.url.".to_owned());
    let refused = async { while cache(&one, &operator).await != ("degraded".to_owned(), said.clone()) {} };
    timeout(PATIENCE, refused).await.expect("it is degraded, and says why");
    assert_eq!(one.get("/health", "").await.body, json!({"status": "degraded"}), "others are not told why");
    let token = token_of(Role::Anonymous, Some("ann"));
    let mut reader = Stream::open(&one.base, "/room/lobby", &token, &[]).await;
    for text in ["a", "b", "c"] {
        say(&other, &token, "lobby", text).await;
        assert_eq!(reader.texts(1).await, [text]);
    }
    let log = one.log();
    assert_eq!(
        log.matches("Redis refuses the password of cache.url.").count(),
        1,
        "once, not at each attempt"
    );
    assert!(!log.contains("wr0ng-password"));
}
