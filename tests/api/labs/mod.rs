//! Labs over HTTP, with the terraform, or tofu, of this machine.

mod authoring;
mod bench;
mod canary;
mod crashes;
mod exec;
mod graders;
mod grading;
mod kills;
mod overview;
mod people;
mod platform;
mod progress;
mod replicas;
mod rooms;
mod time;
mod timeline;
mod tutorial;

use serde_json::json;

pub use bench::Bench;
pub use people::Person;

#[tokio::test]
async fn a_journey_builds_grades_and_takes_down() {
    let bench = Bench::shipped().await;
    let run = bench.run("lab-journey", json!({"lab": "hello-terraform"})).await;
    assert_eq!(run["status"], "succeeded", "{run}");
    let grade = bench.output(&run, "grade");
    assert_eq!((&grade["score"], &grade["max"]), (&json!(75.0), &json!(100.0)));
    let greeting = bench.output(&run, "terraform_apply")["outputs"]["greeting"].clone();
    assert!(greeting.as_str().unwrap().starts_with("Hello from Terraform! Your word is "), "{greeting}");
    assert_eq!(bench.directory("hello-terraform"), None);
    // Nothing is left that would be in the way of another one.
    let again = bench.run("lab-journey", json!({"lab": "hello-terraform"})).await;
    assert_eq!(again["status"], "succeeded", "{again}");
    assert_ne!(bench.output(&again, "open_session"), bench.output(&run, "open_session"));
}

/// The attempt's number and score, and the number of the one that counts.
fn stored(bench: &Bench, submit: &serde_json::Value) -> (i64, f64, i64) {
    let stored = bench.output(submit, "store_grade");
    assert_eq!(stored["counts"]["policy"], "best");
    let attempt = |of: &serde_json::Value| of["attempt"].as_i64().unwrap();
    (attempt(&stored), stored["score"].as_f64().unwrap(), attempt(&stored["counts"]))
}

#[tokio::test]
async fn a_lab_is_launched_submitted_twice_and_finished() {
    let bench = Bench::shipped().await;
    let lab = json!({"lab": "hello-terraform"});
    let launch = bench.run("lab-launch", lab.clone()).await;
    assert_eq!(launch["status"], "succeeded", "{launch}");
    let greeting = bench.output(&launch, "terraform_apply")["outputs"]["greeting"].clone();
    let word = greeting.as_str().unwrap().trim_end_matches('.').rsplit(' ').next().unwrap().to_owned();

    let dir = bench.directory("hello-terraform").expect("the session's directory");
    assert_eq!(std::fs::read_to_string(dir.join("greeting.txt")).unwrap().trim(), greeting);

    let submit = bench.run("lab-submit", lab.clone()).await;
    assert_eq!(stored(&bench, &submit), (1, 75.0, 1));
    let answered = json!({"lab": "hello-terraform", "answers": {"word": word}});
    let submit = bench.run("lab-submit", answered).await;
    assert_eq!(stored(&bench, &submit), (2, 100.0, 2));
    // The grader looks at what is there, and not at what should be.
    std::fs::write(dir.join("greeting.txt"), "something else\n").unwrap();
    let submit = bench.run("lab-submit", lab.clone()).await;
    assert_eq!(stored(&bench, &submit), (3, 25.0, 2));

    let finish = bench.run("lab-finish", lab.clone()).await;
    assert_eq!(finish["status"], "succeeded", "{finish}");
    assert_eq!(bench.directory("hello-terraform"), None);
    let finish = bench.run("lab-finish", lab).await;
    assert_eq!(finish["status"], "succeeded", "finishing again is fine: {finish}");
}

#[tokio::test]
async fn a_second_launch_leaves_the_first_session_alone() {
    let bench = Bench::shipped().await;
    let lab = json!({"lab": "hello-terraform"});
    assert_eq!(bench.run("lab-launch", lab.clone()).await["status"], "succeeded");
    let second = bench.run("lab-launch", lab.clone()).await;
    assert_eq!(second["error"]["code"], "session.open", "{second}");
    assert!(bench.directory("hello-terraform").unwrap().join("greeting.txt").exists());
    let submit = bench.run("lab-submit", lab).await;
    assert_eq!(submit["status"], "succeeded", "{submit}");
}

#[tokio::test]
async fn without_a_session_there_is_nothing_to_grade_and_unknown_labs_are_refused() {
    let bench = Bench::shipped().await;
    let submit = bench.run("lab-submit", json!({"lab": "hello-terraform"})).await;
    assert_eq!((&submit["status"], &submit["error"]["code"]), (&json!("failed"), &json!("session.none")));
    let launch = bench.run("lab-launch", json!({"lab": "no-such-lab"})).await;
    assert_eq!(launch["error"]["code"], "lab.unknown", "{launch}");
    assert_eq!(bench.directory("no-such-lab"), None, "the directory is taken back");
    for lab in ["../x", "a/b", "", "A"] {
        bench.post("lab-launch", json!({"lab": lab})).await.refused(422, "flow.input_invalid");
    }
}

#[tokio::test]
async fn a_launch_that_fails_half_way_is_taken_back() {
    let main = r#"
resource "terraform_data" "first" { input = "one" }
resource "terraform_data" "second" {
  input = terraform_data.first.output
  provisioner "local-exec" { command = "exit 3" }
}
"#;
    let bench = Bench::with_lab("broken", main, "#!/bin/sh\nexit 2\n").await;
    let run = bench.run("lab-launch", json!({"lab": "broken"})).await;
    assert_eq!(
        (&run["status"], &run["error"]["code"]),
        (&json!("undone"), &json!("terraform.failed")),
        "{run}"
    );
    assert_eq!(bench.directory("broken"), None);
    let finish = bench.run("lab-finish", json!({"lab": "broken"})).await;
    assert_eq!(bench.output(&finish, "terraform_destroy")["session"], json!(null), "no session is left open");
}

#[tokio::test]
async fn a_machine_without_terraform_says_so() {
    let bench = Bench::shipped_with(&[("PATH", "/nowhere")]).await;
    let run = bench.run("lab-launch", json!({"lab": "hello-terraform"})).await;
    let detail = run["error"]["detail"].as_str().unwrap();
    assert!(detail.starts_with("This machine has no terraform or tofu"), "{detail}");
    assert_eq!(bench.directory("hello-terraform"), None);
}

#[tokio::test]
async fn without_a_key_for_states_nothing_is_made() {
    let bench = Bench::shipped_with(&[("FLOW_STATE_KEY", "")]).await;
    let run = bench.run("lab-launch", json!({"lab": "hello-terraform"})).await;
    let detail = run["error"]["detail"].as_str().unwrap();
    assert!(detail.contains("FLOW_STATE_KEY"), "{detail}");
    assert_eq!(bench.directory("hello-terraform"), None);
}
