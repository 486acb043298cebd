//! Sessions whose time is over.

use serde_json::{Value, json};

use super::bench::Bench;
use super::people::Person;

const LAB: &str = r#"
resource "terraform_data" "one" {
  input = "one"
  provisioner "local-exec" { command = "echo made > made" }
}
"#;
/// Waits for its file.
const GRADE: &str = "#!/bin/sh
go=$(sed -n '/^  \"answers\": {$/,/^  }/ s/^    \"go\": \"\\(.*\\)\"$/\\1/p' \"$FM_GRADE_INPUT\")
while [ ! -e \"$go\" ]; do sleep 0.05; done
echo '{\"score\":1,\"max\":1}' > \"$FM_GRADE_RESULT\"
";

async fn bench(limits: &str) -> Bench {
    Bench::with_card("brief", LAB, GRADE, &format!("[limits]\n{limits}\n"), &[]).await
}

/// Types of the entries of a session's timeline so far.
async fn kinds(person: &Person<'_>, session: &str) -> Vec<String> {
    let timeline = person.see(&format!("{session}/timeline?after=0")).await;
    let entries = timeline["entries"].as_array().unwrap();
    entries.iter().map(|entry| entry["type"].as_str().unwrap().to_owned()).collect()
}

/// Launches; the session's path.
async fn launch(person: &Person<'_>) -> String {
    person.done("/labs/brief/launch", json!({})).await;
    let session = person.see("/labs/brief/session").await;
    session["links"]["self"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_session_that_is_left_alone_is_warned_of_and_taken_down() {
    let bench = bench("idle_s = 5").await;
    let ann = Person::learner(&bench, "ann").await;
    let operator = Person::operator(&bench).await;
    let session = launch(&ann).await;
    // An operator's looks are not its owner's, and leave it idle.
    let over = operator.until(&session, |session| session["status"] == "expired").await;
    assert_eq!((&over["time"]["because"], &over["time"]["expired"]), (&json!("idle"), &json!(true)));
    assert_eq!(over["time"]["expires_at"], json!(null));
    bench.end(over["run"].as_str().unwrap()).await;
    assert_eq!(bench.directory("brief"), None);
    let kinds = kinds(&operator, &session).await;
    assert_eq!(kinds.iter().filter(|kind| *kind == "session.warning").count(), 1, "{kinds:?}");
    let at =
        |wanted: &str| kinds.iter().position(|kind| kind == wanted).unwrap_or_else(|| panic!("{wanted}"));
    assert!(
        at("session.warning") < at("session.finishing") && at("session.finishing") < at("session.expired")
    );
    let runs = ann.see("/flow-manager/runs?flow=lab-expire").await;
    assert_eq!(runs["data"].as_array().unwrap().len(), 1, "one run took it down");
    ann.post(&format!("{session}/extend"), &json!({})).await.refused(409, "session.ending");
}

#[tokio::test]
async fn one_that_is_used_stays_and_an_extension_moves_the_end() {
    let bench = bench("idle_s = 5\ntotal_s = 8\nextend_s = 600\nextensions = 1").await;
    let ann = Person::learner(&bench, "ann").await;
    let session = launch(&ann).await;
    let before = ann.see(&session).await["time"].clone();
    let end = |time: &Value| time["expires_at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let ready = before["ready_at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    // Used by its room alone, for longer than it may be idle.
    let room = session.replace("/sessions/", "/room/session.");
    while jiff::Timestamp::now().duration_since(ready).as_millis() < 6500 {
        assert_eq!(ann.get(&format!("{room}/who")).await.status, 200);
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    }
    let extended = ann.post(&format!("{session}/extend"), &json!({})).await;
    assert_eq!(extended.status, 200, "{}", extended.body);
    assert_eq!(extended.body["time"]["extensions_left"], 0);
    assert!(end(&extended.body["time"]) > end(&before), "{}", extended.body);
    ann.post(&format!("{session}/extend"), &json!({})).await.refused(409, "session.no_extension");
    Person::operator(&bench)
        .await
        .post(&format!("{session}/extend"), &json!({}))
        .await
        .refused(403, "session.not_yours");
    Person::learner(&bench, "eve")
        .await
        .post(&format!("{session}/extend"), &json!({}))
        .await
        .refused(404, "session.unknown");
    assert_eq!(ann.see(&session).await["status"], "ready");
    let kinds = kinds(&ann, &session).await;
    assert!(kinds.iter().any(|kind| kind == "session.extended"), "{kinds:?}");
}

#[tokio::test]
async fn one_whose_time_is_over_while_a_grade_runs_is_graded_first() {
    let mut bench = bench("idle_s = 600\ntotal_s = 5").await;
    let ann = Person::learner(&bench, "ann").await;
    let session = launch(&ann).await;
    let go = bench.open_path("go");
    let submit = ann.post("/labs/brief/submit", &json!({"answers": {"go": go.to_str().unwrap()}})).await.body;
    let ending = ann.until(&session, |session| session["time"]["expired"] == true).await;
    assert_eq!(
        (&ending["status"], &ending["time"]["because"]),
        (&json!("grading"), &json!("total")),
        "{ending}"
    );
    let token = ann.token.clone();
    // Also when its service dies meanwhile, and nobody else has heard of it.
    bench.app.kill_and_restart().await;
    std::fs::write(&go, "").unwrap();
    let graded = bench.end(submit["id"].as_str().unwrap()).await;
    assert_eq!(graded["status"], "succeeded", "{graded}");
    let operator = Person::operator(&bench).await;
    let over = operator.until(&session, |session| session["status"] == "expired").await;
    bench.end(over["run"].as_str().unwrap()).await;
    let attempts = bench.app.get(&format!("{session}/attempts"), &token).await.body;
    assert_eq!(attempts["data"].as_array().unwrap().len(), 1, "the attempt is not lost");
    assert_eq!(bench.directory("brief"), None);
}

#[tokio::test]
async fn a_launch_takes_no_time_of_its_session() {
    let main = r#"
resource "terraform_data" "slow" {
  provisioner "local-exec" { command = "sleep 7" }
}
"#;
    let card = "[limits]\nidle_s = 5\ntotal_s = 5\n";
    let bench = Bench::with_card("brief", main, GRADE, card, &[]).await;
    let ann = Person::learner(&bench, "ann").await;
    let run = ann.done("/labs/brief/launch", json!({})).await;
    assert_eq!(run["status"], "succeeded", "{run}");
    let session = ann.see("/labs/brief/session").await;
    assert_eq!(session["status"], "ready", "{session}");
    let session = session["links"]["self"].as_str().unwrap().to_owned();
    Person::operator(&bench).await.until(&session, |session| session["status"] == "expired").await;
}
