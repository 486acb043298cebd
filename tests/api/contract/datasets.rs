use flow_domain::RunId;
use flow_domain::datasets::{Datasets, Row};
use flow_manager::driven::memory::MemoryDatasets;
use flow_manager::driven::postgres::PgDatasets;
use serde_json::{Value, json};

use super::code;
use crate::harness::TestDb;

#[tokio::test]
async fn memory_keeps_the_contract() {
    suite(&MemoryDatasets::default()).await;
}

#[tokio::test]
async fn postgres_keeps_the_contract() {
    let db = TestDb::new().await;
    db.warm().await;
    suite(&PgDatasets::new(db.pool.clone())).await;
}

async fn suite(datasets: &dyn Datasets) {
    rows_come_back_as_they_were_oldest_first(datasets).await;
    storing_twice_stores_once(datasets).await;
    a_part_stored_again_keeps_its_place(datasets).await;
    what_a_step_stored_can_be_taken_away(datasets).await;
    datasets_are_apart(datasets).await;
    a_limit_cuts_from_the_end(datasets).await;
    text_that_cannot_be_stored_is_refused_and_nothing_stored(datasets).await;
    the_same_part_stored_at_once_stands_once(datasets).await;
}

fn rows(values: &[Value]) -> Vec<Row> {
    values.iter().map(|value| value.as_object().unwrap().clone()).collect()
}

fn numbered(numbers: std::ops::Range<i32>) -> Vec<Row> {
    numbers.map(|n| rows(&[json!({"n": n})]).remove(0)).collect()
}

async fn rows_come_back_as_they_were_oldest_first(datasets: &dyn Datasets) {
    let first = rows(&[
        json!({"state": "CA", "net": 1.5e-7, "big": u64::MAX, "low": i64::MIN, "none": null, "yes": true}),
        json!({}),
        json!({"deep": {"er": [1, 2.0, "three", "quote ' and \u{1F980}", "\\u0000"]}}),
    ]);
    let second = rows(&[json!({"state": "NV"})]);
    assert_eq!(datasets.put("all", RunId::new(), "store", first.clone()).await.unwrap(), 3);
    assert_eq!(datasets.put("all", RunId::new(), "store", second.clone()).await.unwrap(), 1);
    assert_eq!(datasets.rows("all", 100).await.unwrap(), [first, second].concat());
}

async fn storing_twice_stores_once(datasets: &dyn Datasets) {
    let run = RunId::new();
    assert_eq!(datasets.put("twice", run, "store", numbered(0..3)).await.unwrap(), 3);
    assert_eq!(datasets.put("twice", run, "store", numbered(0..3)).await.unwrap(), 3);
    assert_eq!(datasets.rows("twice", 100).await.unwrap(), numbered(0..3));
    assert_eq!(datasets.put("twice", run, "store", vec![]).await.unwrap(), 0);
    assert_eq!(datasets.rows("twice", 100).await.unwrap(), numbered(0..0));
}

async fn a_part_stored_again_keeps_its_place(datasets: &dyn Datasets) {
    let run = RunId::new();
    datasets.put("place", run, "one", numbered(0..1)).await.unwrap();
    datasets.put("place", run, "two", numbered(5..7)).await.unwrap();
    datasets.put("place", run, "one", numbered(3..5)).await.unwrap();
    assert_eq!(datasets.rows("place", 100).await.unwrap(), numbered(3..7));
}

async fn what_a_step_stored_can_be_taken_away(datasets: &dyn Datasets) {
    let (run, other) = (RunId::new(), RunId::new());
    datasets.put("away", run, "store", numbered(0..2)).await.unwrap();
    datasets.put("away", run, "another", numbered(2..3)).await.unwrap();
    datasets.put("away", other, "store", numbered(3..4)).await.unwrap();
    assert_eq!(datasets.remove("away", run, "store").await.unwrap(), 2);
    assert_eq!(datasets.remove("away", run, "store").await.unwrap(), 0);
    assert_eq!(datasets.remove("away", RunId::new(), "store").await.unwrap(), 0);
    assert_eq!(datasets.rows("away", 100).await.unwrap(), numbered(2..4));
}

async fn datasets_are_apart(datasets: &dyn Datasets) {
    let run = RunId::new();
    datasets.put("left", run, "store", numbered(0..1)).await.unwrap();
    datasets.put("right", run, "store", numbered(1..2)).await.unwrap();
    assert_eq!(datasets.remove("left", run, "store").await.unwrap(), 1);
    assert_eq!(datasets.rows("left", 100).await.unwrap(), numbered(0..0));
    assert_eq!(datasets.rows("right", 100).await.unwrap(), numbered(1..2));
    assert_eq!(datasets.rows("never stored", 100).await.unwrap(), numbered(0..0));
}

async fn a_limit_cuts_from_the_end(datasets: &dyn Datasets) {
    datasets.put("limit", RunId::new(), "store", numbered(0..5)).await.unwrap();
    for (limit, left) in [(3, 3), (5, 5), (0, 0), (-1, 0)] {
        assert_eq!(datasets.rows("limit", limit).await.unwrap(), numbered(0..left), "{limit}");
    }
}

async fn text_that_cannot_be_stored_is_refused_and_nothing_stored(datasets: &dyn Datasets) {
    let run = RunId::new();
    datasets.put("nul", run, "store", numbered(0..1)).await.unwrap();
    for row in [json!({"a": "x\0y"}), json!({"a\0": 1}), json!({"a": [{"b": "\0"}]})] {
        let refused = datasets.put("nul", run, "store", rows(&[row])).await;
        assert_eq!(code(refused), "value.nul_character");
    }
    assert_eq!(datasets.rows("nul", 100).await.unwrap(), numbered(0..1));
}

async fn the_same_part_stored_at_once_stands_once(datasets: &dyn Datasets) {
    let run = RunId::new();
    let puts = (0..6).map(|_| async { datasets.put("rush", run, "store", numbered(0..9)).await.unwrap() });
    assert_eq!(futures_util::future::join_all(puts).await, [9; 6]);
    assert_eq!(datasets.rows("rush", 100).await.unwrap(), numbered(0..9));
}
