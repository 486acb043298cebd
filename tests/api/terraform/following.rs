//! Commands that are stopped, or outlived their service.

use std::time::Duration;

use flow_domain::ports::TerraformEnd;
use flow_manager::driven::terraform::{Patience, TerraformCli, TerraformOptions};
use serde_json::json;

use super::sharing::Version;
use super::{Bench, Copies, TWO, options, until};

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
    bench.kill_terraform().await;
    match bench.apply().await {
        Err(TerraformEnd::Killed(why)) => assert!(why.ends_with("in doubt: terraform_data.second."), "{why}"),
        other => panic!("{other:?}"),
    }
    // Asked again, it is still not applied blindly.
    assert!(matches!(bench.apply().await, Err(TerraformEnd::Killed(_))));
    assert!(bench.watch.said("looking at what is there"), "it was reconciled");
    assert_eq!(bench.read("first.runs"), "x\n", "nothing was applied again");
    bench.destroy().await.unwrap();
    assert_eq!(bench.objects(), 0);
    assert!(bench.watch.said("cut short while it worked on terraform_data.second"));
    assert!(!bench.path(".flow/doubt.json").exists());
}

#[tokio::test]
async fn a_killed_apply_with_nothing_in_flight_is_resumed() {
    let bench = Bench::waiting(TWO);
    bench.abandon().await;
    bench.kill_terraform().await;
    assert!(matches!(bench.apply().await, Err(TerraformEnd::Killed(_))));
    // As if the kill had come between two objects.
    std::fs::write(bench.path(".flow/doubt.json"), r#"{"command":"apply","in_flight":[]}"#).unwrap();
    std::fs::write(bench.path("go"), "").unwrap();
    bench.apply().await.unwrap();
    assert_eq!(bench.read("first.runs"), "x\n", "what was there is not made again");
    assert!(bench.watch.said("it goes on from its state"));
    bench.destroy().await.unwrap();
}

#[tokio::test]
async fn a_provider_that_hangs_is_killed_after_the_grace_and_the_session_reconciled() {
    // The shell hears SIGINT from nobody: Terraform waits for it, and is killed with all of its group.
    let mut bench = Bench::new(
        "resource \"terraform_data\" \"x\" {\n provisioner \"local-exec\" {\n  interpreter = [\"/bin/sh\", \"-c\"]\n  command = \"trap '' INT TERM; touch up; while :; do sleep 1; done\"\n }\n}",
    );
    bench.job.grace = Duration::from_millis(200);
    let up = bench.path("up");
    let (end, ()) = tokio::join!(bench.apply(), async {
        until(|| up.exists()).await;
        bench.cancel.cancel();
    });
    match &end {
        // Terraform may have given up on its provisioner by itself.
        Err(TerraformEnd::Killed(why)) => assert!(why.contains("terraform_data.x"), "{why}"),
        Err(TerraformEnd::Stopped { timed_out: false }) => {}
        other => panic!("{other:?}"),
    }
    bench.destroy().await.unwrap();
    assert!(!bench.path(".flow/doubt.json").exists());
}

#[tokio::test]
async fn a_stale_lock_file_is_no_lock() {
    let bench = Bench::new(TWO);
    let stale =
        r#"{"ID":"0b1c","Operation":"OperationTypeApply","Who":"nobody","Created":"2020-01-01T00:00:00Z"}"#;
    std::fs::write(bench.path(".terraform.tfstate.lock.info"), stale).unwrap();
    bench.apply().await.unwrap();
    std::fs::write(bench.path(".terraform.tfstate.lock.info"), stale).unwrap();
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

#[tokio::test]
async fn a_plan_and_an_init_that_take_too_long_are_stopped_and_touch_nothing() {
    let short = Duration::from_secs(1);
    let version = Version::new();
    let bench = version.patient(Patience { init: short, plan: short, ..Patience::default() });
    for (command, words) in [("init", "too long to fetch"), ("apply", "too long to find out")] {
        let hold = version.path(&format!("hold-{command}"));
        std::fs::write(&hold, "").unwrap();
        match bench.apply().await {
            Err(TerraformEnd::Untouched(why)) => assert!(why.contains(words), "{why}"),
            other => panic!("{command}: {other:?}"),
        }
        std::fs::remove_file(hold).unwrap();
    }
    let bench = version.patient(Patience::default());
    bench.apply().await.unwrap();
    bench.destroy().await.unwrap();
}

#[tokio::test]
async fn a_long_silence_is_told_and_ends_nothing() {
    let patience = Patience { silence: Duration::from_secs(1), ..Patience::default() };
    let options = TerraformOptions { patience, ..options(std::env::var("PATH").unwrap()) };
    let mut bench =
        Bench::set(TWO, Copies::default(), |programs, copies| TerraformCli::new(options, programs, copies));
    bench.job.variables.insert("wait".into(), "yes".into());
    let (end, ()) = tokio::join!(bench.apply(), async {
        until(|| bench.watch.said("Terraform has said nothing for")).await;
        std::fs::write(bench.path("go"), "").unwrap();
    });
    end.unwrap();
}

#[tokio::test]
async fn the_bar_of_an_apply_that_is_taken_over_does_not_go_back() {
    let bench = Bench::waiting(TWO);
    bench.abandon().await;
    let percents = || bench.watch.percents.lock().unwrap().clone();
    let before = percents().len();
    let (end, ()) = tokio::join!(bench.apply(), async {
        until(|| percents().len() > before).await;
        std::fs::write(bench.path("go"), "").unwrap();
    });
    end.unwrap();
    assert!(percents().is_sorted() && percents().last() == Some(&100), "{:?}", percents());
    // What comes next begins anew.
    bench.watch.percents.lock().unwrap().clear();
    bench.destroy().await.unwrap();
    assert!(percents().is_sorted() && percents()[0] < 10, "{:?}", percents());
}
