use std::sync::Arc;
use std::time::Duration;

use flow_domain::cache::Cache;
use flow_manager::driven::cache::MokaCache;
use flow_manager::driven::redis::{RedisCache, RedisLink};
use tokio::time::timeout;

use super::code;
use crate::harness::TestRedis;

const LONG: Duration = Duration::from_secs(600);
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn the_one_of_a_process_keeps_the_contract() {
    suite(&MokaCache::default()).await;
}

#[tokio::test]
async fn redis_keeps_the_contract() {
    let redis = TestRedis::start();
    let cache = connected(&redis).await;
    suite(&cache).await;
    // What one replica puts there the others find.
    cache.put("shared", vec![1], LONG).await.unwrap();
    assert_eq!(connected(&redis).await.get("shared").await.unwrap(), Some(vec![1]));
}

async fn suite(cache: &dyn Cache) {
    the_last_value_is_kept_until_it_is_removed(cache).await;
    values_are_bytes_and_keys_are_texts(cache).await;
    each_value_has_its_own_time(cache).await;
}

async fn the_last_value_is_kept_until_it_is_removed(cache: &dyn Cache) {
    assert_eq!(cache.get("a").await.unwrap(), None);
    for value in [b"one", b"two"] {
        cache.put("a", value.to_vec(), LONG).await.unwrap();
        assert_eq!(cache.get("a").await.unwrap().as_deref(), Some(value.as_slice()));
    }
    assert_eq!(cache.get("b").await.unwrap(), None);
    for _ in 0..2 {
        cache.remove("a").await.unwrap();
        assert_eq!(cache.get("a").await.unwrap(), None);
    }
}

async fn values_are_bytes_and_keys_are_texts(cache: &dyn Cache) {
    let all: Vec<u8> = (0..=255).collect();
    for value in [all, Vec::new(), vec![7; 1 << 20]] {
        for key in ["bytes", "top:limit=10&state=TX", "ünï 🎉 \r\n* ?", ""] {
            cache.put(key, value.clone(), LONG).await.unwrap();
            assert!(cache.get(key).await.unwrap() == Some(value.clone()), "{key:?}, {} bytes", value.len());
        }
    }
}

async fn each_value_has_its_own_time(cache: &dyn Cache) {
    cache.put("long", vec![1], LONG).await.unwrap();
    cache.put("none", vec![1], LONG).await.unwrap();
    cache.put("none", vec![2], Duration::ZERO).await.unwrap();
    assert_eq!(cache.get("none").await.unwrap(), None);
    cache.put("short", vec![1], Duration::from_millis(200)).await.unwrap();
    let over = async { while cache.get("short").await.unwrap().is_some() {} };
    timeout(PATIENCE, over).await.expect("its time is over");
    assert_eq!(cache.get("long").await.unwrap(), Some(vec![1]));
}

/// Waits until it answers.
async fn answers(cache: &dyn Cache) {
    let wait = async {
        while cache.get("anything").await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, wait).await.expect("Redis answers");
}

async fn connected(redis: &TestRedis) -> RedisCache {
    let cache = RedisCache::new(Arc::new(RedisLink::open(&redis.url()).unwrap()));
    answers(&cache).await;
    cache
}

#[tokio::test]
async fn a_redis_that_is_killed_refuses_at_once_and_is_there_again_once_it_is() {
    let mut redis = TestRedis::start();
    let cache = connected(&redis).await;
    for _ in 0..3 {
        cache.put("a", vec![1], LONG).await.unwrap();
        redis.kill();
        // Whichever call comes first: none waits for it.
        for _ in 0..1000 {
            assert_eq!(code(cache.get("a").await), "cache.unavailable");
            assert_eq!(code(cache.put("a", vec![2], LONG).await), "cache.unavailable");
        }
        redis.restart();
        answers(&cache).await;
        assert_eq!(cache.get("a").await.unwrap(), None, "it kept nothing, and nothing came late");
    }
}

/// Were each call to wait for its tenth of a second, these would take minutes.
#[tokio::test]
async fn a_redis_that_hangs_costs_the_first_calls_a_moment_and_the_others_nothing() {
    let redis = TestRedis::start();
    let cache = connected(&redis).await;
    redis.hang();
    let calls = async {
        for _ in 0..10_000 {
            assert_eq!(code(cache.get("a").await), "cache.unavailable");
        }
    };
    timeout(PATIENCE, calls).await.expect("a cache that hangs is passed by");
    redis.go_on();
    answers(&cache).await;
}

#[tokio::test]
async fn what_was_to_be_removed_while_redis_hung_is_not_there_when_it_goes_on() {
    let redis = TestRedis::start();
    let (cache, other) = (connected(&redis).await, connected(&redis).await);
    for key in ["stale", "kept"] {
        cache.put(key, vec![1], LONG).await.unwrap();
    }
    redis.hang();
    assert_eq!(code(cache.remove("stale").await), "cache.unavailable");
    redis.go_on();
    answers(&cache).await;
    assert_eq!(cache.get("stale").await.unwrap(), None, "not even before it is removed");
    answers(&other).await;
    let gone = async { while other.get("stale").await.is_ok_and(|value| value.is_some()) {} };
    timeout(PATIENCE, gone).await.expect("others do not find it either");
    assert_eq!(other.get("kept").await.unwrap(), Some(vec![1]));
}
