//! An ingest that workers do, and the answers of a service that does none of it.

use super::Worker;
use crate::harness::{TestRedis, broker};
use crate::ingest::{Bench, HEADER};
use crate::power_plants;
use crate::queue::until;

#[tokio::test]
async fn what_workers_ingest_is_news_to_a_service_with_a_cache_of_its_own() {
    what_workers_ingest_is_news_to_the_service(&[]).await;
}

#[tokio::test]
async fn what_workers_ingest_is_news_to_a_service_with_redis_and_rabbitmq() {
    let (redis, url) = (TestRedis::start(), broker().await.vhost().await);
    let (cache, queue) = (("FLOW_CACHE_URL", &*redis.url()), ("FLOW_QUEUE_URL", &*url));
    what_workers_ingest_is_news_to_the_service(&[cache, queue]).await;
}

/// An answer is kept for sixty seconds; the news comes before.
async fn what_workers_ingest_is_news_to_the_service(more: &[(&str, &str)]) {
    let bench = Bench::start_with(&[more, &[("FLOW_WORKER_ENABLED", "false")]].concat()).await;
    let objects = bench.url();
    let with_files = [more, &[("FLOW_OBJECTS_URL", &*objects)]].concat();
    let workers = [Worker::beside(&bench.app, &with_files), Worker::beside(&bench.app, &with_files)];
    for worker in &workers {
        until(async || worker.is_ready()).await;
    }
    bench.put("a.csv", format!("{HEADER}\n2018,1,One,CA,Solar,1,10\n"));
    bench.ingest().await;
    power_plants::until(&bench.app, &bench.token, &["One"]).await;
    until(async || power_plants::is_hit(&bench).await).await;
    bench.put("b.csv", format!("{HEADER}\n2018,2,Two,CA,Solar,1,20\n"));
    bench.ingest().await;
    power_plants::until(&bench.app, &bench.token, &["Two", "One"]).await;
    assert!(!bench.app.log().contains(" epoch="), "the service takes no run itself");
    assert!(workers.iter().map(Worker::taken).sum::<usize>() >= 4);
}
