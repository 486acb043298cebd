//! How far a lab is, as its learner sees it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::bench::Bench;
use super::people::Person;

/// Thirty objects, half of them slow.
const THIRTY: &str = r#"
resource "terraform_data" "quick" {
  count = 15
  input = count.index
}
resource "terraform_data" "slow" {
  count = 15
  input = count.index
  provisioner "local-exec" { command = "sleep 0.3" }
}
"#;

const NO_GRADER: &str = "#!/bin/sh\nexit 2\n";

/// What a run's step told of its progress: percent and words.
async fn told(person: &Person<'_>, run: &Value) -> Vec<(u64, String)> {
    let mut told = Vec::new();
    let mut after = 0;
    loop {
        let path = format!("{}/events?after={after}", run["links"]["self"].as_str().unwrap());
        let page = person.see(&path).await;
        for event in page["events"].as_array().unwrap() {
            if event["type"] == "progress" && event["step"] == "terraform_apply" {
                let words = event["data"]["message"].as_str().unwrap().to_owned();
                told.push((event["data"]["percent"].as_u64().unwrap(), words));
            }
        }
        if page["done"] == true {
            return told;
        }
        after = page["after"].as_i64().unwrap();
    }
}

#[tokio::test]
async fn the_bar_of_thirty_objects_never_goes_back_and_is_full_only_at_the_end() {
    let bench = Bench::with_lab("thirty", THIRTY, NO_GRADER).await;
    let ann = Person::learner(&bench, "ann").await;
    let run = ann.post("/labs/thirty/launch", &json!({})).await.body;
    let path = run["links"]["self"].as_str().unwrap();
    let mut percents = Vec::new();
    loop {
        let run = ann.see(path).await;
        let percent = run["percent"].as_u64().unwrap();
        assert_eq!(percent == 100, run["status"] == "succeeded", "{run}");
        percents.push(percent);
        if !run["finished_at"].is_null() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(percents.is_sorted(), "{percents:?}");
    let told = told(&ann, &run).await;
    assert!(told.is_sorted_by_key(|(percent, _)| *percent), "{told:?}");
    let (last, before) = told.split_last().unwrap();
    assert_eq!(*last, (100, "Ready".to_owned()));
    assert!(before.iter().all(|(percent, _)| *percent <= 95), "{told:?}");
    let between = before.iter().filter(|(percent, _)| (11..95).contains(percent)).count();
    assert!(between >= 2, "a bar that jumps says nothing: {told:?}");
    assert!(before.iter().any(|(_, words)| words.starts_with("creating terraform_data.slow[")), "{told:?}");
    assert!(before.iter().all(|(_, words)| !words.contains(" of ") || words.contains(" of 30")), "{told:?}");
    assert!(!before.iter().any(|(_, words)| words.contains(" left")), "nothing is known yet: {told:?}");
}

#[tokio::test]
async fn how_long_is_left_is_told_once_five_runs_are_known() {
    let bench = Bench::with_lab("thirty", THIRTY, NO_GRADER).await;
    let ann = Person::learner(&bench, "ann").await;
    let mut run = ann.done("/labs/thirty/launch", json!({})).await;
    for earlier in 1..=6 {
        assert_eq!(run["status"], "succeeded", "{run}");
        let told = told(&ann, &run).await;
        let left =
            told.iter().any(|(_, words)| words.contains(" left") || words.contains("longer than usual"));
        assert_eq!(left, earlier > 5, "after {} runs: {told:?}", earlier - 1);
        if earlier < 6 {
            run = ann.done("/labs/thirty/reset", json!({})).await;
        }
    }
}

/// Waits for the file `go`.
const WAITS: &str = r#"
resource "terraform_data" "x" {
  provisioner "local-exec" { command = "echo x > begun; while [ ! -e go ]; do sleep 0.05; done" }
}
"#;

#[tokio::test]
async fn a_launch_that_waits_says_where_it_stands_and_so_does_why() {
    let bench = Bench::with_card("waits", WAITS, NO_GRADER, "", &[("FLOW_TERRAFORM_AT_ONCE", "1")]).await;
    let ann = Person::learner(&bench, "ann").await;
    let first = ann.post("/labs/waits/launch", &json!({})).await.body;
    let begun = bench.appears("waits", "begun").await;
    let mut waiting = Vec::new();
    for (at, name) in ["bob", "cy"].into_iter().enumerate() {
        let person = Person::learner(&bench, name).await;
        let run = person.post("/labs/waits/launch", &json!({})).await.body;
        let why = run["links"]["why"].as_str().unwrap().to_owned();
        let stands = format!("Waiting for other labs: {0} of {0} in the queue", at + 1);
        let seen = |why: &Value| why["sentence"].as_str().is_some_and(|it| it.contains(&stands));
        person.until(&why, seen).await;
        waiting.push((person, run, why));
    }
    // Who gives up leaves the queue, and the next one moves up.
    let (bob, run, _) = &waiting[0];
    let path = run["links"]["cancel"].as_str().unwrap();
    assert_eq!(bob.post(path, &json!({})).await.status, 202);
    let (cy, _, why) = &waiting[1];
    let moved_up =
        |why: &Value| why["sentence"].as_str().is_some_and(|it| it.contains("1 of 1 in the queue"));
    cy.until(why, moved_up).await;
    std::fs::write(begun.with_file_name("go"), "").unwrap();
    assert_eq!(bench.end(first["id"].as_str().unwrap()).await["status"], "succeeded");
    assert_eq!(bench.end(run["id"].as_str().unwrap()).await["status"], "cancelled");
    let started = |why: &Value| {
        why["sentence"].as_str().is_some_and(|it| it.contains("creating terraform_data.x, 1 of 1"))
    };
    cy.until(why, started).await;
}

/// Memory of the service and of all that it started, in MiB.
fn memory_mib(service_dir: &std::path::Path) -> u64 {
    let mark = service_dir.to_str().unwrap().as_bytes().to_vec();
    let ours = |process: &std::fs::DirEntry| {
        let read = |file: &str| std::fs::read(process.path().join(file)).unwrap_or_default();
        let holds = |bytes: Vec<u8>| bytes.windows(mark.len()).any(|part| part == mark);
        holds(read("environ")) || holds(read("cmdline"))
    };
    let rss = |process: std::fs::DirEntry| {
        let status = std::fs::read_to_string(process.path().join("status")).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes.filter(ours).filter_map(rss).sum::<u64>() / 1024
}

#[tokio::test]
#[ignore = "twenty launches at once, a minute or so"]
async fn twenty_learners_launch_at_once_and_all_get_their_lab_in_turn() {
    let bench = Bench::with_lab("thirty", THIRTY, NO_GRADER).await;
    let mut people = Vec::new();
    for at in 0..20 {
        people.push(Person::learner(&bench, &format!("learner-{at}")).await);
    }
    let start = Instant::now();
    let nothing = json!({});
    let launches = people.iter().map(|person| person.post("/labs/thirty/launch", &nothing));
    let runs: Vec<Value> =
        futures_util::future::join_all(launches).await.into_iter().map(|answer| answer.body).collect();
    let mut most = 0;
    let mut ended = vec![None; runs.len()];
    while ended.iter().any(Option::is_none) {
        most = most.max(memory_mib(&bench.app.state_dir()));
        for (at, run) in runs.iter().enumerate().filter(|(at, _)| ended[*at].is_none()).collect::<Vec<_>>() {
            let run = people[at].see(run["links"]["self"].as_str().unwrap()).await;
            if !run["finished_at"].is_null() {
                assert_eq!(run["status"], "succeeded", "{run}");
                ended[at] = Some(start.elapsed());
            }
        }
        assert!(start.elapsed() < Duration::from_secs(600), "{ended:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let mut waited = 0;
    for (person, run) in people.iter().zip(&runs) {
        let told = told(person, run).await;
        assert!(told.is_sorted_by_key(|(percent, _)| *percent), "{told:?}");
        let positions: Vec<usize> = told
            .iter()
            .filter_map(|(_, words)| {
                words.strip_prefix("Waiting for other labs: ")?.split(' ').next()?.parse().ok()
            })
            .collect();
        assert!(
            positions.is_sorted_by(|earlier, later| earlier >= later),
            "nobody is overtaken: {positions:?}"
        );
        waited += usize::from(!positions.is_empty());
    }
    assert!(waited >= 12, "four at once: the others stood in the queue, {waited}");
    let ended: Vec<f64> = ended.into_iter().flatten().map(|time| time.as_secs_f64()).collect();
    let first = ended.iter().copied().fold(f64::INFINITY, f64::min);
    println!(
        "20 launches of 30 objects: first {first:.1} s, last {:.1} s, {waited} waited, at most {most} MiB",
        start.elapsed().as_secs_f64()
    );
}
