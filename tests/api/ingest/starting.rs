//! Ingests that nobody asks for by HTTP: started by an event, and by a schedule.

use flow_domain::queue::Event;
use serde_json::json;
use tempfile::TempDir;

use super::Bench;
use super::bench::{excerpt, rows_of};
use crate::harness::broker;
use crate::queue::{happened, until};

/// As docs/ingest.md has it: a flow of one's own, with the steps of `ingest`.
const OWN: &str = "name = \"plants\"\non_failure = \"stop\"\nSTART\n\n[[tasks]]\nname = \"scan\"\ntask = \"ingest_scan\"\n\
    input.dataset = \"DATASET\"\n\n[[tasks]]\nname = \"load\"\ntask = \"ingest_wait\"\n";

/// The shipped settings, with that flow.
fn config(start: &str, dataset: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["flows", "datasets"] {
        std::fs::create_dir(dir.path().join(folder)).unwrap();
        let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/config/");
        for entry in std::fs::read_dir(format!("{shipped}{folder}")).unwrap().flatten() {
            std::fs::copy(entry.path(), dir.path().join(folder).join(entry.file_name())).unwrap();
        }
    }
    let flow = OWN.replace("START", start).replace("DATASET", dataset);
    std::fs::write(dir.path().join("flows/plants.toml"), flow).unwrap();
    dir
}

#[tokio::test]
async fn an_event_that_names_the_dataset_starts_an_ingest() {
    let url = broker().await.vhost().await;
    let dir = config("on_event = \"files.arrived\"", "${input.dataset}");
    let settings = [("FLOW_CONFIG_DIR", dir.path().to_str().unwrap()), ("FLOW_QUEUE_URL", &url)];
    let bench = Bench::start_with(&settings).await;
    bench.put("2018.csv", excerpt(2018));
    let told = Event::new("files.arrived", "plants", json!({"dataset": "power-plants"}));
    // Told twice, it happened once.
    happened(&bench.app, std::slice::from_ref(&told)).await;
    happened(&bench.app, std::slice::from_ref(&told)).await;
    until(async || bench.count(ENDED).await == 1).await;
    assert_eq!(bench.plants().await, rows_of(&excerpt(2018)));
    assert_eq!(bench.count("select count(*) from flow_run where flow = 'plants'").await, 1);
}

#[tokio::test]
#[ignore = "waits for the next full minute"]
async fn a_schedule_starts_an_ingest() {
    let dir = config("schedule = \"* * * * *\"", "power-plants");
    let bench = Bench::start_with(&[("FLOW_CONFIG_DIR", dir.path().to_str().unwrap())]).await;
    bench.put("2018.csv", excerpt(2018));
    until(async || bench.count(ENDED).await >= 1).await;
    assert_eq!(bench.plants().await, rows_of(&excerpt(2018)));
}

const ENDED: &str = "select count(*) from flow_run where flow = 'plants' and status = 'succeeded'";
