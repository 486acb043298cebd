//! Files that are as they should be: new, known, changed, many at once.

use serde_json::json;

use super::Bench;
use super::bench::{excerpt, rows_of};

#[tokio::test]
async fn real_files_are_loaded_once_and_a_changed_one_updates() {
    let bench = Bench::start().await;
    let (one, other) = (excerpt(2017), excerpt(2018));
    let rows = rows_of(&one) + rows_of(&other);
    bench.put("us_power_plants_2017.csv", &one);
    bench.put("us_power_plants_2018.csv", &other);
    bench.put("notes.txt", "not one of them");
    let first = bench.ingest().await;
    assert_eq!(
        (&first["files"], &first["rows_expected"], &first["rows_loaded"], &first["rows_changed"]),
        (&json!(2), &json!(rows), &json!(rows), &json!(rows)),
        "{first}"
    );
    assert_eq!(bench.plants().await, rows);
    let again = bench.ingest().await;
    assert_eq!((&again["files"], &again["chunks"]), (&json!(0), &json!(0)), "{again}");

    // Another size, one plant more and one with another output.
    let changed = other.replacen("2207.0", "99999999.5", 1) + "2018,1,New One,CA,Wind,2,3\n";
    bench.put("us_power_plants_2018.csv", &changed);
    let update = bench.ingest().await;
    assert_eq!(
        (&update["files"], &update["rows_loaded"]),
        (&json!(1), &json!(rows_of(&changed))),
        "{update}"
    );
    assert_eq!(bench.plants().await, rows + 1);
    let sql = "select count(*) from ingested.power_plant where plant_id = 59371 and net_generation_mwh = 99999999.5";
    assert_eq!(bench.count(sql).await, 1);
}
