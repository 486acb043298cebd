//! Commands that are stopped, or outlived their service.

use std::path::Path;
use std::time::Duration;

use flow_domain::ports::TerraformEnd;
use serde_json::{Value, json};

use super::{Bench, TWO, until};

#[tokio::test]
async fn cancel_stops_an_apply_and_destroy_takes_down_what_it_made() {
    let bench = Bench::waiting(TWO);
    let second = bench.path("second.runs");
    let (end, ()) = tokio::join!(bench.apply(), async {
        until(|| second.exists()).await;
        bench.cancel.cancel();
    });
    assert!(matches!(end, Err(TerraformEnd::Stopped { timed_out: false })), "{end:?}");
    assert_eq!((bench.objects(), bench.copies.objects()), (2, Some(2)));
    bench.destroy().await.unwrap();
    assert_eq!(bench.objects(), 0);
}

#[tokio::test]
async fn an_apply_that_outlived_its_service_is_followed_to_its_end() {
    let bench = Bench::waiting(TWO);
    bench.abandon().await;
    let (outputs, ()) = tokio::join!(bench.apply(), async {
        until(|| bench.watch.said("said")).await;
        std::fs::write(bench.path("go"), "").unwrap();
    });
    assert_eq!(outputs.unwrap(), json!({"greeting": "hello one"}));
    assert_eq!((bench.read("first.runs"), bench.read("second.runs")), ("x\n".to_owned(), "x\n".to_owned()));
}

#[tokio::test]
async fn destroy_stops_an_apply_that_outlived_its_service() {
    let bench = Bench::waiting(TWO);
    bench.abandon().await;
    bench.destroy().await.unwrap();
    assert!(bench.watch.said("Waiting for an earlier terraform apply to end"));
    assert_eq!(bench.objects(), 0);
    assert!(!bench.path("go").exists());
}

#[tokio::test]
async fn an_apply_that_was_killed_with_its_wrapper_is_in_doubt_and_can_be_taken_down() {
    let bench = Bench::waiting(TWO);
    bench.abandon().await;
    let identity: Value = serde_json::from_str(&bench.read(".flow/apply/pid.json")).unwrap();
    for pid in ["session", "pid"].map(|name| identity[name].to_string()) {
        assert!(std::process::Command::new("kill").args(["-9", &pid]).status().unwrap().success());
        until(|| !Path::new(&format!("/proc/{pid}/exe")).exists()).await;
    }
    match bench.apply().await {
        Err(TerraformEnd::Failed(why)) => assert!(why.contains("in doubt"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(bench.read("first.runs"), "x\n", "nothing was applied again");
    bench.destroy().await.unwrap();
    assert_eq!(bench.objects(), 0);
}

#[tokio::test]
async fn an_apply_that_takes_too_long_is_stopped() {
    let mut bench = Bench::waiting(TWO);
    bench.job.timeout = Duration::from_secs(2);
    let end = bench.apply().await;
    assert!(matches!(end, Err(TerraformEnd::Stopped { timed_out: true })), "{end:?}");
    bench.destroy().await.unwrap();
}
