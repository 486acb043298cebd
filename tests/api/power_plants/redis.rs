//! The same with Redis as the cache, which goes away while it is used.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{TOP, from, names, until};
use crate::harness::{Answer, TestRedis};
use crate::ingest::{Bench, HEADER};

/// Queries that wait for the table's lock.
const WAITING: &str = "select count(distinct pid) from pg_locks \
    where relation = 'ingested.power_plant'::regclass and not granted";

#[tokio::test]
async fn while_redis_is_dead_the_database_is_asked_once_by_all_who_miss_together() {
    let mut redis = TestRedis::start();
    let bench = Arc::new(Bench::start_with(&[("FLOW_CACHE_URL", &redis.url())]).await);
    bench.put("a.csv", format!("{HEADER}\n2018,1,One,CA,Solar,1,10\n"));
    bench.ingest().await;
    until(&bench.app, &bench.token, &["One"]).await;
    hit(&bench, TOP).await;

    redis.kill();
    let mut client = bench.app.db.pool.client().await.unwrap();
    let lock = client.transaction().await.unwrap();
    lock.batch_execute("lock table ingested.power_plant in access exclusive mode").await.unwrap();
    let asked = |path: String| {
        let bench = bench.clone();
        tokio::spawn(async move { bench.app.get(&path, &bench.token).await })
    };
    let together: Vec<_> = (0..50).map(|_| asked(TOP.to_owned())).collect();
    waiting(&bench, 1).await;
    // One who asks something else comes after them.
    let other = asked(format!("{TOP}?state=CA"));
    waiting(&bench, 2).await;
    assert_eq!(bench.count(WAITING).await, 2, "each question is asked once");
    lock.rollback().await.unwrap();
    for answer in together.into_iter().chain([other]) {
        let answer: Answer = answer.await.unwrap();
        assert_eq!((answer.status.as_u16(), from(&answer)), (200, "miss"), "{}", answer.body);
        assert_eq!(names(&answer.body), ["One"]);
    }

    // What is ingested while it is dead is told at once, and after it is back as well.
    bench.put("b.csv", format!("{HEADER}\n2018,2,Two,CA,Solar,1,20\n"));
    bench.ingest().await;
    until(&bench.app, &bench.token, &["Two", "One"]).await;
    redis.restart();
    hit(&bench, TOP).await;
    assert_eq!(names(&bench.app.get(TOP, &bench.token).await.body), ["Two", "One"]);
}

/// One that hangs keeps its connections and answers nothing: it is passed by.
#[tokio::test]
async fn a_redis_that_hangs_is_passed_by() {
    let redis = TestRedis::start();
    let bench = Bench::start_with(&[("FLOW_CACHE_URL", &redis.url())]).await;
    bench.put("a.csv", format!("{HEADER}\n2018,1,One,CA,Solar,1,10\n"));
    bench.ingest().await;
    until(&bench.app, &bench.token, &["One"]).await;
    hit(&bench, TOP).await;
    redis.hang();
    for _ in 0..20 {
        let answer = bench.app.get(TOP, &bench.token).await;
        assert_eq!((answer.status.as_u16(), from(&answer)), (200, "miss"), "{}", answer.body);
    }
    redis.go_on();
    hit(&bench, TOP).await;
}

/// Asks until the cache answers.
async fn hit(bench: &Bench, path: &str) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let answer = bench.app.get(path, &bench.token).await;
        assert_eq!(answer.status.as_u16(), 200, "{}", answer.body);
        if from(&answer) == "hit" {
            return;
        }
        assert!(Instant::now() < deadline, "it is never a hit");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn waiting(bench: &Bench, number: i64) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while bench.count(WAITING).await < number {
        assert!(Instant::now() < deadline, "nobody asks the database");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
