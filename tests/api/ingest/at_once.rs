//! Two at once, and deaths in between: each row is in once.

use std::time::{Duration, Instant};

use serde_json::json;

use super::Bench;
use super::bench::{HEADER, excerpt, row, rows_of};
use crate::harness::TestApp;

#[tokio::test]
async fn two_scanners_at_once_ingest_a_file_once() {
    let bench = Bench::start().await;
    let other = bench.replica().await;
    for part in 0..12 {
        let rows: Vec<String> = (0..50).map(|at| row(part * 50 + at + 1)).collect();
        bench.put(&format!("{part}.csv"), format!("{HEADER}\n{}\n", rows.join("\n")));
    }
    let input = json!({"dataset": "power-plants"});
    let (apps, flow): ([&TestApp; 4], _) = ([&bench.app, &other, &bench.app, &other], json!("ingest"));
    let runs = apps.map(|app| app.run_flow(&bench.token, &flow, &input));
    let mut loaded = 0;
    for run in futures_util::future::join_all(runs).await {
        assert_eq!(run.body["status"], "succeeded", "{}", run.body);
        loaded += run.body["tasks"][1]["output"]["rows_loaded"].as_i64().unwrap();
    }
    assert_eq!((loaded, bench.plants().await), (600, 600));
    assert_eq!(bench.count("select count(*) from ingest_file").await, 12);
    assert_eq!(bench.count("select sum(rows_loaded)::bigint from ingest_chunk").await, 600);
}

#[tokio::test]
async fn a_newer_version_ends_the_chunks_of_the_older() {
    let bench = Bench::start().await;
    bench.put("plants.csv", format!("{HEADER}\n2018,1,Old,CA,Solar,1,1\n"));
    // Nobody loads while the table is locked.
    let mut client = bench.app.db.pool.client().await.unwrap();
    let lock = client.transaction().await.unwrap();
    lock.batch_execute("lock table ingested.power_plant in share mode").await.unwrap();
    let input = json!({"dataset": "power-plants"});
    let (flow, body) = (json!("ingest"), json!({"flow": "ingest", "input": input}));
    let old = bench.app.post("/flow-manager", &bench.token, &body);
    let watch = async {
        until(&bench, "select count(*) from ingest_chunk where run_id is not null", 1).await;
        bench.put("plants.csv", format!("{HEADER}\n2018,1,Newer,CA,Solar,1,2\n2018,2,New,CA,Solar,1,2\n"));
        let newer = bench.app.run_flow(&bench.token, &flow, &input);
        let unlock = async {
            // It registers only once the load of the older version is over, and that waits for us.
            tokio::time::sleep(Duration::from_millis(300)).await;
            lock.rollback().await.unwrap();
        };
        tokio::join!(newer, unlock).0
    };
    let (_, newer) = tokio::join!(old, watch);
    assert_eq!(newer.body["status"], "succeeded", "{}", newer.body);
    until(&bench, "select count(*) from ingested.power_plant where plant_name in ('Newer', 'New')", 2).await;
    assert_eq!(bench.plants().await, 2);
}

/// Chunks of one file that a process loads at once, each with every key, in opposite orders.
#[tokio::test]
#[ignore = "long: four chunks of four megabytes"]
async fn of_chunks_that_are_loaded_at_once_the_later_line_wins() {
    const PLANTS: u64 = 19_000;
    let bench = Bench::start().await;
    let mut file = format!("{HEADER}\n");
    for part in 0..4 {
        let row = |at: u64| {
            let id = if part % 2 == 0 { at } else { PLANTS + 1 - at };
            format!("2018,{id},{part} {:x<180},CA,Solar,1.5,{part}\n", "")
        };
        file.extend((1..=PLANTS).map(row));
    }
    bench.put("plants.csv", file);
    let told = bench.ingest().await;
    assert!(told["chunks"].as_u64() >= Some(4), "{told}");
    assert_eq!(told["rows_loaded"], 4 * PLANTS, "{told}");
    let last =
        "select count(*) from ingested.power_plant where plant_name like '3 %' and net_generation_mwh = 3";
    assert_eq!((bench.plants().await, bench.count(last).await), (PLANTS as i64, PLANTS as i64));
}

#[tokio::test]
#[ignore = "long: what a dead process had in hand comes again after a minute"]
async fn killed_between_the_commit_and_the_acknowledgement_it_loads_each_row_once() {
    let mut bench = Bench::start().await;
    bench.put("2017.csv", excerpt(2017));
    bench.put("2018.csv", excerpt(2018));
    let rows = rows_of(&excerpt(2017)) + rows_of(&excerpt(2018));
    let body = json!({"flow": "ingest", "input": {"dataset": "power-plants"}});
    let request = bench.app.request(reqwest::Method::POST, "/flow-manager").bearer_auth(&bench.token);
    let answer = request.header("Prefer", "respond-async").json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    let run = answer.json::<serde_json::Value>().await.unwrap()["links"]["self"].as_str().unwrap().to_owned();
    // The rows are in; whether the message is acknowledged by now is left to chance, and must not matter.
    until(&bench, "select least(count(*), 1) from ingest_chunk where status = 'loaded'", 1).await;
    bench.app.kill_and_restart().await;
    let deadline = Instant::now() + Duration::from_secs(90);
    let ended = loop {
        let now = bench.app.get(&run, &bench.token).await.body;
        if now["status"] == "succeeded" {
            break now;
        }
        assert!(now["status"] != "failed" && Instant::now() < deadline, "{now}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let told = &ended["tasks"][1]["output"];
    assert_eq!((&told["rows_loaded"], &told["rows_expected"]), (&json!(rows), &json!(rows)), "{told}");
    assert_eq!(bench.plants().await, rows);
    // What was not acknowledged comes again, and finds nothing to do.
    until(&bench, "select count(*) from queue_message where consumer = 'ingest-chunk'", 0).await;
    assert_eq!(bench.count("select sum(rows_loaded)::bigint from ingest_chunk").await, rows);
    assert_eq!(bench.count("select count(*) from dead_letter").await, 0);
}

/// Waits for the number.
async fn until(bench: &Bench, sql: &str, expected: i64) {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let now = bench.count(sql).await;
        if now == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{sql}: {now}, not {expected}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
