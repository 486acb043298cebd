//! Faults with real processes: killed, stopped, cut off from their database. Each says what it tried and what was
//! lost. Long, so that they run by themselves: `make test-long`.

mod boundaries;
mod canary;
pub mod database;
pub mod full_disk;
mod outages;
mod processes;
pub mod service;
mod slow_readers;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio_postgres::{Config, NoTls};

use service::Service;

/// What every run must be after a fault.
pub struct Toll {
    pub runs: i64,
    pub succeeded: i64,
    pub unended: i64,
}

pub async fn connect(config: &Config) -> tokio_postgres::Client {
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// A flow that leaves a row for each time its first step runs to its end, waits, and goes on.
pub fn work(nap_s: f64) -> Value {
    json!({"name": "work", "tasks": [
        {"name": "first", "task": "store_data", "input": {"dataset": "first", "rows": [{"n": 1}]}},
        {"name": "nap", "task": "sleep", "input": {"seconds": nap_s}},
        {"name": "second", "task": "store_data", "input": {"dataset": "second", "rows": [{"n": 1}]}},
        {"name": "last", "task": "noop", "input": {"value": "${tasks.nap.output}"}}]})
}

/// Posts as many as wanted, so many at a time, each given again until it was taken or the patience is over. The ids of
/// those that were answered 2xx, and how often the answer was another.
pub async fn post_many(services: &[&Service], flow: &Value, wanted: usize) -> (Vec<String>, usize) {
    let (mut taken, mut refused) = (Vec::new(), 0);
    for chunk in (0..wanted).collect::<Vec<_>>().chunks(32) {
        let posts = chunk.iter().map(|number| {
            let service = services[number % services.len()];
            service.begin(flow)
        });
        for answer in futures_util::future::join_all(posts).await {
            match answer {
                Some(id) => taken.push(id),
                None => refused += 1,
            }
        }
    }
    (taken, refused)
}

/// Waits until every run in the database is over, and counts.
pub async fn all_ended(config: &Config, within: Duration) -> Toll {
    let deadline = Instant::now() + within;
    loop {
        let client = connect(config).await;
        let counts = "select count(*), count(*) filter (where status = 'succeeded'),
                             count(*) filter (where finished_at is null) from flow_run";
        let row = client.query_one(counts, &[]).await.unwrap();
        let toll = Toll { runs: row.get(0), succeeded: row.get(1), unended: row.get(2) };
        if toll.unended == 0 {
            return toll;
        }
        assert!(Instant::now() < deadline, "{} of {} runs have not ended", toll.unended, toll.runs);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Every acknowledged run is there and over, every step that ended did so once, and nothing is there twice.
pub async fn nothing_is_lost_or_doubled(config: &Config, taken: &[String]) {
    let client = connect(config).await;
    let ids: Vec<uuid::Uuid> = taken.iter().map(|id| id.parse().unwrap()).collect();
    let known = "select count(*) from flow_run where id = any($1) and finished_at is not null";
    let known: i64 = client.query_one(known, &[&ids]).await.unwrap().get(0);
    assert_eq!(known as usize, taken.len(), "runs that were answered 2xx and did not end");
    let doubled = "select count(*) from (select run_id, name from step where status = 'succeeded'
                   group by run_id, name having count(*) > 1) d";
    assert_eq!(
        client.query_one(doubled, &[]).await.unwrap().get::<_, i64>(0),
        0,
        "steps that succeeded twice"
    );
    let rows = "select count(*) from (select r.id from flow_run r join dataset_part p on p.run_id = r.id
                join dataset_row d on d.part_id = p.id where r.status = 'succeeded' group by r.id having count(*) <> 2) odd";
    assert_eq!(client.query_one(rows, &[]).await.unwrap().get::<_, i64>(0), 0, "runs without their two rows");
    // A number twice, or one left out, is an event lost to whoever follows.
    let gaps = "select count(*) from flow_run r where r.event_seq <>
                2 + (r.finished_at is not null)::int
                + (select count(*) + count(finished_event) from step s where s.run_id = r.id)
                + (select count(*) from event e where e.run_id = r.id)";
    assert_eq!(
        client.query_one(gaps, &[]).await.unwrap().get::<_, i64>(0),
        0,
        "runs with a gap in their events"
    );
}
