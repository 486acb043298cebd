//! Services that are killed while Terraform works for them. Long, so that they run by themselves: `make test-long`.
//! Each tells what was killed and what was lost.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::bench::{Bench, PATIENCE};
use crate::faults::service::Service;
use crate::harness::TestApp;

const OBJECTS: usize = 30;
const GATES: usize = 10;
const GRADE: &str = "#!/bin/sh\nexit 2\n";

/// Thirty objects, every second one of which is made after the one before it and removed before it, and is slow: the
/// first ten wait for a gate of their own, both ways, the others take a moment.
fn config() -> String {
    let mut text = String::new();
    for number in 0..OBJECTS {
        let slow = number % 2 == 0;
        let wait = |what: &str| match slow {
            true if number / 2 < GATES => format!("while [ ! -e {what}-{number}.go ]; do sleep 0.05; done"),
            true => "sleep 0.2".to_owned(),
            false => "true".to_owned(),
        };
        let after = if slow && number > 0 {
            format!("depends_on = [terraform_data.x{}]", number - 2)
        } else {
            String::new()
        };
        let (made, gone) = (wait("make"), wait("gone"));
        let _ = writeln!(
            text,
            r#"resource "terraform_data" "x{number}" {{
  input = "{number}"
  {after}
  provisioner "local-exec" {{ command = "echo making-{number}.; echo {number} >> made; {made}" }}
  provisioner "local-exec" {{
    when    = destroy
    command = "echo removing-{number}.; echo {number} >> removed; {gone}"
  }}
}}"#
        );
    }
    text
}

/// Waits until the file says that this object's turn has come.
async fn turn(file: &Path, number: usize) {
    let start = Instant::now();
    let wanted = number.to_string();
    while !std::fs::read_to_string(file).unwrap_or_default().lines().any(|line| line == wanted) {
        assert!(start.elapsed() < PATIENCE, "object {number} never had its turn");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Every object's number, once, in order.
fn all_once() -> Vec<usize> {
    (0..OBJECTS).collect()
}

fn numbers(file: &Path) -> Vec<usize> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let mut numbers: Vec<usize> = text.lines().map(|line| line.parse().unwrap()).collect();
    numbers.sort();
    numbers
}

/// Waits until the service that lives now has told of this line: it has taken the run up, and is in the middle of it.
async fn heard(bench: &Bench, id: &str, line: &str) {
    let start = Instant::now();
    while !bench.events(id).await.contains(line) {
        assert!(start.elapsed() < PATIENCE, "{line} was never told");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Kills the service once at each of the ten gates; the run, ended.
async fn killed_at_every_gate(
    bench: &mut Bench,
    id: &str,
    dir: &Path,
    log: &str,
    gate: &str,
    says: &str,
) -> Value {
    for number in (0..GATES).map(|gate| gate * 2) {
        turn(&dir.join(log), number).await;
        heard(bench, id, &format!("{says}-{number}.")).await;
        bench.app.kill_and_restart().await;
        std::fs::write(dir.join(format!("{gate}-{number}.go")), "").unwrap();
    }
    let run = bench.end(id).await;
    assert_eq!(run["status"], "succeeded", "{run}");
    let events = bench.events(id).await;
    for number in 0..OBJECTS {
        assert!(events.contains(&format!("{says}-{number}.")), "the line of object {number} is lost");
    }
    run
}

/// How far a step was told to be, in order.
fn bar(events: &str, step: &str) -> Vec<u64> {
    let events = events.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let told = events.filter(|event| event["type"] == "progress" && event["step"] == step);
    told.map(|event| event["data"]["percent"].as_u64().unwrap()).collect()
}

/// It was told often enough to say something, never went back, and was full in the end.
fn the_bar_never_went_back(events: &str, step: &str) {
    let bar = bar(events, step);
    assert!(bar.is_sorted() && bar.last() == Some(&100), "{bar:?}");
    assert!(bar.iter().filter(|percent| (11..95).contains(*percent)).count() >= GATES / 2, "{bar:?}");
}

#[tokio::test]
#[ignore = "long"]
async fn a_service_killed_at_ten_points_of_an_apply_and_of_a_destroy_loses_nothing() {
    let start = Instant::now();
    let mut bench = Bench::with_lab("many", &config(), GRADE).await;
    let id = bench.begin(json!("lab-launch"), json!({"lab": "many"})).await;
    let made = bench.appears("many", "made").await;
    let dir = made.parent().unwrap().to_owned();
    // A copy outlives the directory, which the finish removes.
    let keep = tempfile::tempdir().unwrap();
    let run = killed_at_every_gate(&mut bench, &id, &dir, "made", "make", "making").await;
    assert_eq!(numbers(&made), all_once(), "made once each");
    the_bar_never_went_back(&bench.events(&id).await, "terraform_apply");
    assert_eq!(run["percent"], 100, "{run}");
    let launched = start.elapsed();
    println!(
        "| the service, SIGKILL | ten points of an apply of 30 objects | the run went on each time; 30 made, none twice; lost: nothing | {launched:.1?} |"
    );

    let removed = dir.join("removed");
    std::fs::hard_link(&made, keep.path().join("made")).ok();
    std::fs::write(&removed, "").unwrap();
    std::fs::hard_link(&removed, keep.path().join("removed")).unwrap();
    let id = bench.begin(json!("lab-finish"), json!({"lab": "many"})).await;
    for number in (0..GATES).rev().map(|gate| gate * 2) {
        turn(&keep.path().join("removed"), number).await;
        heard(&bench, &id, &format!("removing-{number}.")).await;
        bench.app.kill_and_restart().await;
        std::fs::write(dir.join(format!("gone-{number}.go")), "").unwrap();
    }
    let run = bench.end(&id).await;
    assert_eq!(run["status"], "succeeded", "{run}");
    the_bar_never_went_back(&bench.events(&id).await, "terraform_destroy");
    assert_eq!(numbers(&keep.path().join("removed")), all_once(), "removed once each");
    assert_eq!(bench.directory("many"), None);
    println!(
        "| the service, SIGKILL | ten points of a destroy of 30 objects | the run went on each time; 30 removed; left: nothing | {:.1?} |",
        start.elapsed() - launched
    );
}

/// One gate, which is object 0's.
const ONE: &str = r#"
resource "terraform_data" "x0" {
  input = "0"
  provisioner "local-exec" { command = "echo 0 >> made; while [ ! -e make-0.go ]; do sleep 0.05; done" }
}
"#;

#[tokio::test]
#[ignore = "long"]
async fn a_run_with_a_living_child_waits_for_its_host() {
    let start = Instant::now();
    let mut bench = Bench::with_lab("one", ONE, GRADE).await;
    let other = Service::start(&bench.app.db.url()).await;
    let id = bench.begin(json!("lab-launch"), json!({"lab": "one"})).await;
    let made = bench.appears("one", "made").await;
    turn(&made, 0).await;
    bench.app.kill();

    // The other host sees it, says for whom it waits, and does not touch it.
    let look = async |path: &str| -> (StatusCode, Value) {
        let request = other.client.get(format!("{}/flow-manager/runs/{id}{path}", other.base));
        let answer = request.bearer_auth(&other.token).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    };
    // A takeover comes 5 s after the last heartbeat; here it must not come.
    let killed = Instant::now();
    let mut says = Value::Null;
    while killed.elapsed() < Duration::from_secs(9) {
        let (status, why) = look("/why").await;
        assert_eq!((status, &why["status"]), (StatusCode::OK, &json!("running")), "{why}");
        says = why;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(says["blocked_by"]["kind"], "host", "{says}");
    assert!(says["sentence"].as_str().unwrap().starts_with("It waits for its host"), "{says}");
    let can_do = says["can_do"].as_array().unwrap();
    let can = |verb: &str| can_do.iter().any(|call| call.as_str().unwrap().ends_with(verb));
    assert!(can("/cancel") && can("/cancel?force=true"), "{says}");
    assert_eq!(look("").await.1["tasks"].as_array().unwrap().len(), 5, "nothing was done besides");
    std::fs::write(made.with_file_name("make-0.go"), "").unwrap();
    let exit = made.with_file_name(".flow").join("apply/exit.json");
    while !exit.exists() {
        assert!(start.elapsed() < PATIENCE, "terraform did not end by itself");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bench.app.restart().await;
    let run = bench.end(&id).await;
    assert_eq!(run["status"], "succeeded", "{run}");
    assert_eq!(numbers(&made), [0], "made once");
    println!(
        "| one of two hosts, SIGKILL, its child alive | in an apply | the other host left it alone and said why; followed from the files; lost: nothing | {:.1?} |",
        start.elapsed()
    );
}

fn in_container() -> bool {
    ["/run/.containerenv", "/.dockerenv"].iter().any(|file| Path::new(file).exists())
        || std::env::var_os("container").is_some()
}

#[tokio::test]
#[ignore = "long"]
async fn a_service_that_is_asked_to_stop_loses_nothing_of_its_apply() {
    asked_to_stop(TestApp::terminate, "SIGTERM").await;
    asked_to_stop(TestApp::interrupt, "SIGINT").await;
}

async fn asked_to_stop(stop: fn(&mut TestApp), name: &str) {
    let start = Instant::now();
    let mut bench = Bench::with_lab("one", ONE, GRADE).await;
    let id = bench.begin(json!("lab-launch"), json!({"lab": "one"})).await;
    let made = bench.appears("one", "made").await;
    stop(&mut bench.app);
    std::fs::write(made.with_file_name("make-0.go"), "").unwrap();
    bench.app.restart().await;
    let run = bench.end(&id).await;
    assert_eq!(run["status"], "succeeded", "{run}");
    if in_container() {
        // Everything would die with the container, so Terraform is told to stop, and goes on from its state: what it was
        // making is tainted and made anew.
        assert!(matches!(numbers(&made)[..], [0] | [0, 0]), "{run}");
        println!(
            "| the service, {name}, in a container | in an apply | Terraform was asked to stop; the next start went on from its state; lost: nothing | {:.1?} |",
            start.elapsed()
        );
        return;
    }
    assert_eq!(numbers(&made), [0], "{run}");
    println!(
        "| the service, {name} | in an apply | the apply went on; lost: nothing | {:.1?} |",
        start.elapsed()
    );
}

#[tokio::test]
#[ignore = "long"]
async fn terraform_killed_with_its_wrapper_leaves_a_doubt_and_then_nothing() {
    let start = Instant::now();
    let bench = Bench::with_lab("many", &config(), GRADE).await;
    let id = bench.begin(json!("lab-launch"), json!({"lab": "many"})).await;
    let made = bench.appears("many", "made").await;
    let dir = made.parent().unwrap().to_owned();
    for number in [0, 2] {
        turn(&made, number).await;
        std::fs::write(dir.join(format!("make-{number}.go")), "").unwrap();
    }
    turn(&made, 4).await;
    // Its destroy would wait at these.
    for number in 0..OBJECTS {
        std::fs::write(dir.join(format!("gone-{number}.go")), "").unwrap();
    }
    let identity: Value =
        serde_json::from_slice(&std::fs::read(dir.join(".flow/apply/pid.json")).unwrap()).unwrap();
    for pid in [identity["session"].to_string(), format!("-{}", identity["pid"])] {
        std::process::Command::new("kill").args(["-9", "--", &pid]).status().unwrap();
    }
    let run = bench.end(&id).await;
    assert_eq!(
        (&run["status"], &run["error"]["code"]),
        (&json!("undone"), &json!("terraform.killed")),
        "{run}"
    );
    assert!(run["error"]["detail"].as_str().unwrap().contains("terraform_data.x4"), "{run}");
    let events = bench.events(&id).await;
    assert!(
        events.contains("looking at what is there") && events.contains("cut short while it worked on"),
        "{events}"
    );
    assert_eq!(bench.directory("many"), None);
    println!(
        "| terraform, its group and its wrapper, SIGKILL | in an apply | session dirty, x4 named as in doubt, reconciled, taken down; left: nothing | {:.1?} |",
        start.elapsed()
    );
}
