//! Tasks of a slow Proxmox VE, as the learner of a lab hears of them.

use serde_json::{Value, json};

use super::GIVEN;
use super::slow::{Fault, SlowPve};
use crate::harness::TestPve;
use crate::labs::{Bench, Person};

/// Two objects that end when the test says so, well or not.
const MAIN: &str = r#"
resource "terraform_data" "web" {
  count = 2
  provisioner "local-exec" {
    command = "touch begun-${count.index}; until [ -e go-${count.index} ]; do sleep 0.05; done; exec cat go-${count.index}"
  }
  provisioner "local-exec" {
    when    = destroy
    command = "touch gone-${count.index}; until [ ! -e hold ]; do sleep 0.05; done"
  }
}
"#;

async fn bench(pve: &SlowPve) -> Bench {
    let url = pve.url();
    let settings = [
        ("FLOW_PROXMOX_URL", url.as_str()),
        ("FLOW_PROXMOX_TOKEN", TestPve::TOKEN),
        ("FLOW_PROXMOX_VMIDS", "700-709"),
    ];
    Bench::with_card("machines", &[GIVEN, MAIN].concat(), "#!/bin/sh\nexit 2\n", "machines = 2\n", &settings)
        .await
}

/// A launch, both of whose objects are under way; and its session's path.
async fn launched(bench: &Bench, ann: &Person<'_>) -> (Value, String) {
    let launch = ann.post("/labs/machines/launch", &json!({})).await.body;
    for file in ["begun-0", "begun-1"] {
        bench.appears("machines", file).await;
    }
    let session = ann.see("/labs/machines/session").await;
    (launch, session["links"]["self"].as_str().unwrap().to_owned())
}

/// Lets an object end; with a directory in its way, badly.
async fn go(bench: &Bench, object: usize, well: bool) {
    let path =
        bench.appears("machines", &format!("begun-{object}")).await.with_file_name(format!("go-{object}"));
    if well { std::fs::write(path, "").unwrap() } else { std::fs::create_dir(path).unwrap() }
}

/// Waits until the run says this of itself.
async fn says(person: &Person<'_>, run: &Value, words: &str) {
    let why = run["links"]["why"].as_str().unwrap();
    person.until(why, |why| why["sentence"].as_str().is_some_and(|it| it.contains(words))).await;
}

/// A clone for the machine 700 of two disks begins.
fn clone(pve: &SlowPve, vmid: u32, name: &str) -> String {
    let upid = pve.begin("qmclone", 9000);
    pve.guest(json!({"vmid": vmid, "name": name, "lock": "clone"}));
    pve.says(&upid, &["create full clone of drive scsi0 (local-lvm:base-9000-disk-0)"]);
    pve.says(&upid, &[&format!("  Logical volume \"vm-{vmid}-disk-0\" created.")]);
    upid
}

/// Percents and words of a step.
fn told(events: &str, step: &str) -> Vec<(u64, String)> {
    let events = events.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let told = events.filter(|event| event["type"] == "progress" && event["step"] == step);
    let pair = |event: Value| {
        (event["data"]["percent"].as_u64().unwrap(), event["data"]["message"].as_str().unwrap().to_owned())
    };
    told.map(pair).collect()
}

/// What the timeline tells of tasks: `status` and `text`; and that no other entry does.
async fn timeline(person: &Person<'_>, path: &str) -> Vec<(String, String)> {
    let (mut told, mut after) = (Vec::new(), 0);
    loop {
        let page = person.see(&format!("{path}/timeline?after={after}&wait=0")).await;
        let entries = page["entries"].as_array().unwrap();
        if entries.is_empty() {
            return told;
        }
        for entry in entries {
            let text = |key: &str| entry["data"][key].as_str().unwrap_or_default().to_owned();
            match entry["type"] == "machine.task" {
                true => told.push((text("status"), text("text"))),
                false => assert!(!entry["data"].to_string().contains("UPID"), "{entry}"),
            }
        }
        after = page["after"].as_i64().unwrap();
    }
}

fn pairs(wanted: &[(&str, &str)]) -> Vec<(String, String)> {
    wanted.iter().map(|(status, text)| ((*status).to_owned(), (*text).to_owned())).collect()
}

#[tokio::test]
async fn a_launch_says_how_far_its_machines_are_and_its_timeline_tells_each_task_once() {
    let pve = SlowPve::start(2).await;
    let bench = bench(&pve).await;
    let ann = Person::learner(&bench, "ann").await;
    let (launch, session) = launched(&bench, &ann).await;
    let first = clone(&pve, 700, "web-1");
    pve.says(&first, &["transferred 6.6 GiB of 8.0 GiB (82.00%)"]);
    says(&ann, &launch, "web-1: cloning disk 41 % and 1 more, 1 of 2").await;
    // The next disk begins at nothing.
    pve.says(&first, &["transferred 8.0 GiB of 8.0 GiB (100.00%)"]);
    pve.says(&first, &["create full clone of drive scsi1 (local-lvm:base-9000-disk-1)"]);
    pve.says(&first, &["transferred 0.0 B of 8.0 GiB (0.00%)"]);
    says(&ann, &launch, "web-1: cloning disk 50 %").await;
    pve.says(&first, &["transferred 4.8 GiB of 8.0 GiB (60.00%)", "WARN: a snapshot is left out"]);
    says(&ann, &launch, "web-1: cloning disk 80 %").await;
    pve.ends(&first, "WARNINGS: 1");
    pve.guest(json!({"vmid": 700, "name": "web-1"}));
    // Of the other one the source runs, so that its disks are mirrored.
    let second = clone(&pve, 701, "web-2");
    pve.says(&second, &["drive-scsi0: transferred 2.0 GiB of 8.0 GiB (25.00%) in 4s"]);
    pve.says(&second, &["drive-scsi1: transferred 2.0 GiB of 8.0 GiB (25.00%) in 4s"]);
    says(&ann, &launch, "web-2: cloning disk 25 % and 1 more, 1 of 2").await;
    pve.ends(&second, "OK");
    let start = pve.begin("qmstart", 701);
    says(&ann, &launch, "web-2: starting").await;
    pve.ends(&start, "OK");
    go(&bench, 0, true).await;
    go(&bench, 1, true).await;
    let run = bench.end(launch["id"].as_str().unwrap()).await;
    assert_eq!(run["status"], "succeeded", "{run}");

    let events = bench.events(launch["id"].as_str().unwrap()).await;
    let bar = told(&events, "terraform_apply");
    assert!(bar.is_sorted_by_key(|(percent, _)| *percent), "{bar:?}");
    let (last, before) = bar.split_last().unwrap();
    assert_eq!((last.0, before.iter().all(|(percent, _)| *percent <= 95)), (100, true), "{bar:?}");
    // Half of the bar's 85 percent are the first machine's, and nearly all of that is the clone.
    let at = |words: &str| bar.iter().filter(|(_, it)| it.contains(words)).map(|(percent, _)| *percent).max();
    assert_eq!(
        (at("web-1: cloning disk 41 %"), at("web-1: cloning disk 80 %")),
        (Some(26), Some(42)),
        "{bar:?}"
    );
    let wanted = [
        ("started", "web-1: cloning disk begins"),
        ("warning", "web-1: cloning disk warns: WARN: a snapshot is left out"),
        ("ended", "web-1: cloning disk is done"),
        ("started", "web-2: cloning disk begins"),
        ("ended", "web-2: cloning disk is done"),
        ("started", "web-2: starting begins"),
        ("ended", "web-2: starting is done"),
    ];
    assert_eq!(timeline(&ann, &session).await, pairs(&wanted));
    for (_, text) in wanted {
        assert_eq!(events.matches(&format!("Proxmox VE: {text} (UPID:")).count(), 1, "{text}: {events}");
    }
    let lines: usize = pve.given(&first).iter().map(|lines| lines.len()).sum();
    assert_eq!(lines, 9, "each line once: {:?}", pve.given(&first));
}

#[tokio::test]
async fn a_finish_says_what_is_done_to_its_machines() {
    let pve = SlowPve::start(1).await;
    let bench = bench(&pve).await;
    let ann = Person::learner(&bench, "ann").await;
    let (launch, session) = launched(&bench, &ann).await;
    for (object, name) in [(0, "web-1"), (1, "web-2")] {
        pve.guest(json!({"vmid": 700 + object, "name": name}));
        go(&bench, object, true).await;
    }
    assert_eq!(bench.end(launch["id"].as_str().unwrap()).await["status"], "succeeded");
    let hold = bench.appears("machines", "go-0").await.with_file_name("hold");
    std::fs::write(&hold, "").unwrap();
    let finish = ann.post("/labs/machines/finish", &json!({})).await.body;
    bench.appears("machines", "gone-1").await;
    let upid = pve.begin("qmdestroy", 701);
    says(&ann, &finish, "web-2: removing and 1 more, 1 of 2").await;
    pve.ends(&upid, "OK");
    std::fs::remove_file(hold).unwrap();
    let finish = bench.end(finish["id"].as_str().unwrap()).await;
    assert_eq!(finish["status"], "succeeded", "{finish}");
    let wanted = [("started", "web-2: removing begins"), ("ended", "web-2: removing is done")];
    assert_eq!(timeline(&ann, &session).await, pairs(&wanted));
}

#[tokio::test]
async fn a_service_that_dies_in_the_middle_of_a_task_goes_on_telling_it() {
    let pve = SlowPve::start(1).await;
    let mut bench = bench(&pve).await;
    let ann = Person::learner(&bench, "ann").await;
    let (launch, session) = launched(&bench, &ann).await;
    let (first, second) = (clone(&pve, 700, "web-1"), clone(&pve, 701, "web-2"));
    for upid in [&first, &second] {
        pve.says(upid, &["transferred 4.0 GiB of 8.0 GiB (50.00%)"]);
    }
    // Which of the two stands first is Terraform's choice.
    says(&ann, &launch, ": cloning disk 50 % and 1 more, 1 of 2").await;
    let token = ann.token.clone();
    bench.app.kill();
    // One ends while nobody looks.
    pve.ends(&second, "OK");
    pve.says(&first, &["transferred 6.0 GiB of 8.0 GiB (75.00%)"]);
    bench.app.restart().await;
    let ann = Person::with_token(&bench, &token);
    says(&ann, &launch, "web-1: cloning disk 75 % and 1 more, 1 of 2").await;
    pve.ends(&first, "OK");
    go(&bench, 0, true).await;
    go(&bench, 1, true).await;
    let run = bench.end(launch["id"].as_str().unwrap()).await;
    assert_eq!(run["status"], "succeeded", "{run}");
    let events = bench.events(launch["id"].as_str().unwrap()).await;
    let bar = told(&events, "terraform_apply");
    assert!(bar.is_sorted_by_key(|(percent, _)| *percent) && bar.last().unwrap().0 == 100, "{bar:?}");
    let mut seen = timeline(&ann, &session).await;
    seen.sort();
    let wanted = [
        ("ended", "web-1: cloning disk is done"),
        ("ended", "web-2: cloning disk is done"),
        ("started", "web-1: cloning disk begins"),
        ("started", "web-2: cloning disk begins"),
    ];
    assert_eq!(seen, pairs(&wanted));
}

#[tokio::test]
async fn a_task_that_fails_is_told_in_plain_words_beside_terraforms() {
    let pve = SlowPve::start(1).await;
    let bench = bench(&pve).await;
    let ann = Person::learner(&bench, "ann").await;
    let (launch, session) = launched(&bench, &ann).await;
    let upid = clone(&pve, 700, "web-1");
    says(&ann, &launch, "web-1: cloning disk").await;
    pve.ends(&upid, &format!("storage 'x' full\u{1b}[2J for {}\n", TestPve::TOKEN));
    go(&bench, 0, false).await;
    go(&bench, 1, true).await;
    let run = bench.end(launch["id"].as_str().unwrap()).await;
    assert_eq!(run["error"]["code"], "terraform.failed", "{run}");
    let detail = run["error"]["detail"].as_str().unwrap();
    let says = "Proxmox VE says: web-1: cloning disk failed: storage 'x' full [2J for ***.";
    assert!(detail.starts_with("Terraform failed: ") && detail.ends_with(says), "{detail}");
    let failed = "web-1: cloning disk failed: storage 'x' full [2J for ***";
    assert!(timeline(&ann, &session).await.contains(&("ended".to_owned(), failed.to_owned())));
    assert!(!run.to_string().contains("11111111-2222"), "{run}");
}

#[tokio::test]
async fn a_cluster_at_fault_harms_no_launch() {
    let pve = SlowPve::start(1).await;
    let bench = bench(&pve).await;
    let ann = Person::learner(&bench, "ann").await;
    let (launch, session) = launched(&bench, &ann).await;
    let upid = clone(&pve, 700, "web-1");
    pve.says(&upid, &["transferred 4.0 GiB of 8.0 GiB (50.00%)"]);
    says(&ann, &launch, "web-1: cloning disk 50 %").await;
    for fault in [Fault::Error500, Fault::Cut] {
        pve.fault(fault);
        pve.called(1).await;
    }
    pve.fault(Fault::None);
    pve.says(&upid, &["transferred 6.0 GiB of 8.0 GiB (75.00%)"]);
    says(&ann, &launch, "web-1: cloning disk 75 %").await;
    pve.fault(Fault::Hangs);
    pve.called(1).await;
    go(&bench, 0, true).await;
    go(&bench, 1, true).await;
    let run = bench.end(launch["id"].as_str().unwrap()).await;
    assert_eq!(run["status"], "succeeded", "{run}");
    let log = bench.app.log();
    assert_eq!(log.matches("tasks of its machines are not told at the moment").count(), 1, "{log}");
    // The end that was not seen is told by whoever works next on the session.
    pve.fault(Fault::None);
    pve.ends(&upid, "OK");
    assert_eq!(ann.done("/labs/machines/finish", json!({})).await["status"], "succeeded");
    let wanted = [("started", "web-1: cloning disk begins"), ("ended", "web-1: cloning disk is done")];
    assert_eq!(timeline(&ann, &session).await, pairs(&wanted));
}

#[tokio::test]
async fn a_cluster_that_is_away_from_the_beginning_is_missed_by_no_launch() {
    let pve = SlowPve::start(1).await;
    let bench = bench(&pve).await;
    drop(pve);
    let ann = Person::learner(&bench, "ann").await;
    let (launch, session) = launched(&bench, &ann).await;
    go(&bench, 0, true).await;
    go(&bench, 1, true).await;
    let run = bench.end(launch["id"].as_str().unwrap()).await;
    assert_eq!(run["status"], "succeeded", "{run}");
    assert_eq!(timeline(&ann, &session).await, []);
}
