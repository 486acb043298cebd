//! Ingests in whose middle the broker, the service or the store of files goes away. Counted at the end: the rows
//! expected are the rows there, each loaded once.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use flow_domain::queue::Queue;
use flow_manager::driven::rabbitmq::RabbitQueue;
use serde_json::{Value, json};

use super::bench::{HEADER, row};
use super::{Bench, S3};
use crate::harness::{Broker, Cable, Cut, TestApp, broker};
use crate::workers::Worker;

/// One chunk each.
const FILES: u64 = 200;
const ROWS: u64 = 20;
const PATIENCE: Duration = Duration::from_secs(240);
const LOADED: &str = "select count(*) from ingest_chunk where status = 'loaded'";

fn fill(bench: &Bench, files: std::ops::Range<u64>) {
    for file in files {
        let rows: Vec<String> = (1..=ROWS).map(|at| row(file * ROWS + at)).collect();
        bench.put(&format!("{file:04}.csv"), format!("{HEADER}\n{}\n", rows.join("\n")));
    }
}

/// Starts an ingest and waits for nothing; where its run is.
async fn begin(app: &TestApp, token: &str) -> String {
    let body = json!({"flow": "ingest", "input": {"dataset": "power-plants"}});
    let request = app.request(reqwest::Method::POST, "/flow-manager").bearer_auth(token);
    let answer = request.header("Prefer", "respond-async").json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    answer.json::<Value>().await.unwrap()["links"]["self"].as_str().unwrap().to_owned()
}

async fn number(app: &TestApp, sql: &str) -> i64 {
    app.db.pool.client().await.unwrap().query_one(sql, &[]).await.unwrap().get(0)
}

async fn until(app: &TestApp, sql: &str, least: i64) {
    let deadline = Instant::now() + PATIENCE;
    while number(app, sql).await < least {
        assert!(Instant::now() < deadline, "{sql}: never {least}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until the chunks are being loaded, and are not all.
async fn in_the_middle(app: &TestApp, after: i64, all: u64) {
    until(app, LOADED, after + 5).await;
    let loaded = number(app, LOADED).await;
    assert!(loaded < all as i64, "it came too late: {loaded} chunks are in");
}

/// The run ends well, and so many rows are there, each loaded once.
async fn all_in(app: &TestApp, token: &str, run: &str, rows: i64) -> Value {
    let deadline = Instant::now() + PATIENCE;
    let ended = loop {
        let now = app.get(run, token).await.body;
        if !now["finished_at"].is_null() {
            break now;
        }
        assert!(Instant::now() < deadline, "{now}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(ended["status"], "succeeded", "{ended}");
    let told = &ended["tasks"][1]["output"];
    assert_eq!((&told["rows_expected"], &told["rows_loaded"]), (&json!(rows), &json!(rows)), "{told}");
    assert_eq!(number(app, "select count(*) from ingested.power_plant").await, rows);
    assert_eq!(number(app, "select sum(rows_loaded)::bigint from ingest_chunk").await, rows);
    assert_eq!(number(app, "select sum(rows_changed)::bigint from ingest_chunk").await, rows);
    ended
}

#[tokio::test]
#[ignore = "kills RabbitMQ and restarts it, which takes ten seconds each time"]
async fn rabbitmq_killed_and_restarted_in_the_middle_costs_no_row() {
    let mut broker = Broker::private().await;
    let url = broker.vhost().await;
    let mut bench = Bench::start_with(&[("FLOW_QUEUE_URL", &url)]).await;
    broker.restart().await;
    fill(&bench, 0..FILES);
    let run = begin(&bench.app, &bench.token).await;
    in_the_middle(&bench.app, 0, FILES).await;
    broker.kill();
    broker.start_again().await;
    all_in(&bench.app, &bench.token, &run, (FILES * ROWS) as i64).await;

    fill(&bench, FILES..2 * FILES);
    let run = begin(&bench.app, &bench.token).await;
    in_the_middle(&bench.app, FILES as i64, 2 * FILES).await;
    broker.restart().await;
    let deadline = Instant::now() + PATIENCE;
    while bench.app.get(&run, &bench.token).await.body["finished_at"].is_null() {
        assert!(Instant::now() < deadline, "the second run does not end");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(bench.plants().await, (2 * FILES * ROWS) as i64);
    assert_eq!(RabbitQueue::new(&url).unwrap().bereaved().await.unwrap(), [""; 0]);
    bench.app.terminate();
}

#[tokio::test]
#[ignore = "kills the service three times"]
async fn the_service_killed_in_the_middle_costs_no_row() {
    let url = broker().await.vhost().await;
    let mut bench = Bench::start_with(&[("FLOW_QUEUE_URL", &url)]).await;
    fill(&bench, 0..FILES);
    let run = begin(&bench.app, &bench.token).await;
    // While it looks the files through, twice, for a step that three processes die of is given up; then after that.
    let registered = "select count(*) from ingest_file";
    let looked = "select count(*) from step where task = 'ingest_scan' and status = 'succeeded'";
    for (what, many) in [(registered, 20), (registered, 60), (looked, 1)] {
        until(&bench.app, what, many).await;
        bench.app.kill_and_restart().await;
    }
    all_in(&bench.app, &bench.token, &run, (FILES * ROWS) as i64).await;
    assert_eq!(RabbitQueue::new(&url).unwrap().bereaved().await.unwrap(), [""; 0]);
}

#[tokio::test]
#[ignore = "kills a worker and waits until its lease has run out"]
async fn a_worker_killed_in_the_middle_costs_no_row() {
    let url = broker().await.vhost().await;
    let queue = ("FLOW_QUEUE_URL", url.as_str());
    let bench = Bench::start_with(&[("FLOW_WORKER_ENABLED", "false"), queue]).await;
    let objects = bench.url();
    let worker = || Worker::beside(&bench.app, &[queue, ("FLOW_OBJECTS_URL", &objects)]);
    let mut workers = [worker(), worker(), worker()];
    for worker in &workers {
        crate::queue::until(async || worker.is_ready()).await;
    }
    fill(&bench, 0..FILES);
    let run = begin(&bench.app, &bench.token).await;
    in_the_middle(&bench.app, 0, FILES).await;
    let busiest = (0..3).max_by_key(|at| workers[*at].taken()).unwrap();
    workers[busiest].kill();
    all_in(&bench.app, &bench.token, &run, (FILES * ROWS) as i64).await;
    assert!(workers.iter().filter(|worker| worker.taken() > 5).count() > 1, "they share the chunks");
}

#[tokio::test]
#[ignore = "kills the service"]
async fn killed_after_a_chunk_is_upserted_and_before_its_acknowledgement_it_loads_it_once() {
    let url = broker().await.vhost().await;
    let (cable, near) = Cable::lay(&url).await;
    let mut bench = Bench::start_with(&[("FLOW_QUEUE_URL", &near)]).await;
    fill(&bench, 0..1);
    // Nobody loads while the table is locked: the message is in hand by then, and its acknowledgement is lost.
    let mut client = bench.app.db.pool.client().await.unwrap();
    let lock = client.transaction().await.unwrap();
    lock.batch_execute("lock table ingested.power_plant in share mode").await.unwrap();
    let run = begin(&bench.app, &bench.token).await;
    until(&bench.app, "select count(*) from ingest_chunk where run_id is not null", 1).await;
    cable.cut(Cut::ToServer);
    lock.rollback().await.unwrap();
    until(&bench.app, LOADED, 1).await;
    bench.app.kill();
    let other = RabbitQueue::new(&url).unwrap();
    let deadline = Instant::now() + PATIENCE;
    let again = loop {
        if let Some(delivery) = other.receive("ingest-chunk", 1).await.unwrap().pop() {
            break delivery;
        }
        assert!(Instant::now() < deadline, "it does not come again");
    };
    assert_eq!((again.attempt, &again.event.data["number"]), (2, &json!(0)));
    drop(other);
    cable.cut(Cut::Nowhere);
    bench.app.restart().await;
    all_in(&bench.app, &bench.token, &run, ROWS as i64).await;
    // A later file's chunk comes after it, so that by then it was dealt with.
    fill(&bench, 1..2);
    bench.ingest().await;
    assert_eq!(bench.plants().await, 2 * ROWS as i64);
    assert_eq!(bench.count("select count(*) from flow_run where flow = 'ingest-chunk'").await, 2);
}

#[tokio::test]
#[ignore = "waits while the store of files is away"]
async fn a_bucket_that_answers_503_in_the_middle_costs_no_row() {
    let s3 = S3::start().await;
    for file in 0..FILES {
        let rows: Vec<String> = (1..=ROWS).map(|at| row(file * ROWS + at)).collect();
        s3.put(&format!("power-plants/{file:04}.csv"), &format!("{HEADER}\n{}\n", rows.join("\n"))).await;
    }
    let app = s3.service_with_right_key().await;
    let token = app.login().await;
    let run = begin(&app, &token).await;
    in_the_middle(&app, 0, FILES).await;
    s3.door.shut();
    let deadline = Instant::now() + PATIENCE;
    while s3.door.refused.load(Ordering::SeqCst) < 3 {
        assert!(Instant::now() < deadline, "nobody asks it");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Back, and slow.
    s3.door.mode.store(2, Ordering::SeqCst);
    all_in(&app, &token, &run, (FILES * ROWS) as i64).await;
}
