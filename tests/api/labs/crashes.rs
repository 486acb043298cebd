//! A service that is killed, and a run that is cancelled, while Terraform works.

use serde_json::json;

use super::bench::Bench;
use super::people::Person;
use crate::terraform::sharing::{INNER, MODULE, Version};

/// Waits for the file `go`, and counts its starts.
pub const WAITS: &str = r#"
resource "terraform_data" "first" {
  input = "one"
  provisioner "local-exec" { command = "echo x >> first.runs" }
}
resource "terraform_data" "second" {
  input = terraform_data.first.output
  provisioner "local-exec" { command = "echo x >> second.runs; while [ ! -e go ]; do sleep 0.05; done" }
}
output "word" { value = terraform_data.second.output }
"#;

#[tokio::test]
async fn an_apply_goes_on_through_the_death_of_its_service() {
    let mut bench = Bench::with_lab("waits", WAITS, "#!/bin/sh\nexit 2\n").await;
    let id = bench.begin(json!("lab-launch"), json!({"lab": "waits"})).await;
    let second = bench.appears("waits", "second.runs").await;
    bench.app.kill_and_restart().await;
    let dir = second.parent().unwrap();
    std::fs::write(dir.join("go"), "").unwrap();

    let run = bench.end(&id).await;
    assert_eq!(run["status"], "succeeded", "{run}");
    assert_eq!(bench.output(&run, "terraform_apply")["outputs"], json!({"word": "one"}));
    for file in ["first.runs", "second.runs"] {
        assert_eq!(std::fs::read_to_string(dir.join(file)).unwrap(), "x\n", "{file}: made once");
    }
    let finish = bench.run("lab-finish", json!({"lab": "waits"})).await;
    assert_eq!(finish["status"], "succeeded", "{finish}");
}

#[tokio::test]
async fn a_cancelled_launch_takes_down_what_it_made() {
    let bench = Bench::with_lab("waits", WAITS, "#!/bin/sh\nexit 2\n").await;
    let id = bench.begin(json!("lab-launch"), json!({"lab": "waits"})).await;
    bench.appears("waits", "second.runs").await;
    bench.cancel(&id).await;
    let run = bench.end(&id).await;
    assert_eq!((&run["status"], &run["cause"]), (&json!("cancelled"), &json!("cancel")), "{run}");
    assert_eq!(bench.directory("waits"), None);
}

#[tokio::test]
async fn a_launch_that_is_cancelled_twice_hears_it_once() {
    let bench = Bench::with_lab("waits", WAITS, "#!/bin/sh\nexit 2\n").await;
    let ann = Person::learner(&bench, "ann").await;
    let launch = ann.post("/labs/waits/launch", &json!({})).await.body;
    bench.appears("waits", "second.runs").await;
    let cancel = launch["links"]["cancel"].as_str().unwrap();
    for _ in 0..2 {
        let answer = ann.post(cancel, &json!({})).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
    }
    let id = launch["id"].as_str().unwrap();
    let run = bench.end(id).await;
    assert_eq!(run["status"], "cancelled", "{run}");
    let events = bench.events(id).await;
    assert!(events.contains("Interrupt received"), "Terraform was asked to stop: {events}");
    assert!(!events.contains("Two interrupts received"), "once: {events}");
    assert!(events.contains("All taken down"), "{events}");

    // The next session has nothing of this one, even in a directory that was made with the account.
    let again = ann.post("/labs/waits/launch", &json!({})).await.body;
    let second = bench.appears("waits", "second.runs").await;
    let id = again["id"].as_str().unwrap();
    while !bench.events(id).await.contains("while [ ! -e go ]") {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    std::fs::write(second.with_file_name("go"), "").unwrap();
    assert_eq!(bench.end(id).await["status"], "succeeded");
    for file in ["first.runs", "second.runs"] {
        assert_eq!(std::fs::read_to_string(second.with_file_name(file)).unwrap(), "x\n", "{file}");
    }
}

#[tokio::test]
async fn a_service_killed_in_the_middle_of_an_init_shares_nothing_half_made() {
    let version = Version::new();
    std::fs::write(version.path("hold-init"), "").unwrap();
    let program = version.program();
    let settings = [("FLOW_TERRAFORM_BIN", program.to_str().unwrap())];
    let mut bench = Bench::with_card("shares", MODULE, "#!/bin/sh\nexit 2\n", "", &settings).await;
    let inner = bench.path("labs/shares/inner");
    std::fs::create_dir(&inner).unwrap();
    std::fs::write(inner.join("main.tf"), INNER).unwrap();
    // The lab's version is read at the start.
    bench.app.kill_and_restart().await;

    let id = bench.begin(json!("lab-launch"), json!({"lab": "shares"})).await;
    bench.appears("shares", ".flow/init/pid.json").await;
    bench.app.kill_and_restart().await;
    let shared = || {
        let entries = std::fs::read_dir(bench.app.state_dir().join("terraform")).unwrap().flatten();
        entries.filter(|entry| entry.path().is_dir()).count()
    };
    assert_eq!(shared(), 0);
    std::fs::remove_file(version.path("hold-init")).unwrap();
    let run = bench.end(&id).await;
    assert_eq!(run["status"], "succeeded", "{run}");
    assert_eq!(shared(), 1);
    let lab = json!({"lab": "shares"});
    for flow in ["lab-finish", "lab-launch", "lab-finish"] {
        assert_eq!(bench.run(flow, lab.clone()).await["status"], "succeeded", "{flow}");
    }
    assert_eq!(version.inits(), 1, "it outlived its service, and the next session needs no other");
}
