//! A session's room tells what happens to its lab.

use serde_json::{Value, json};

use super::bench::Bench;
use super::crashes::WAITS;
use super::people::Person;
use crate::rooms::Stream;

const HELLO: &str = "/labs/hello-terraform";
const GRADER: &str = "#!/bin/sh\nexit 2\n";

/// Everything the room of a session of the demo user shows, from the beginning to this text.
async fn told(bench: &Bench, session: &str, last: &str) -> Vec<String> {
    let token = bench.app.login().await;
    read(&bench.app.base, session, &token, last).await
}

async fn read(base: &str, session: &str, token: &str, last: &str) -> Vec<String> {
    let mut room = Stream::open(base, &format!("/room/session.{session}?after=0"), token, &[]).await;
    let mut texts = Vec::new();
    while texts.last().is_none_or(|text| text != last) {
        texts.extend(room.texts(1).await);
    }
    texts
}

/// The id of the session that a run is about; it has one once its launch has opened one.
async fn session_of(bench: &Bench, lab: &str) -> String {
    let learner = Person::operator(bench).await;
    let session = learner.until(&format!("/labs/{lab}/session"), |session| session["id"].is_string()).await;
    session["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_room_of_a_session_tells_its_story_to_those_in_it() {
    let bench = Bench::shipped().await;
    let ann = Person::learner(&bench, "ann").await;
    ann.done(&format!("{HELLO}/launch"), json!({})).await;
    let session = ann.see(&format!("{HELLO}/session")).await["id"].as_str().unwrap().to_owned();
    let room = format!("/room/session.{session}");
    // Live for one who is there, and again for one who comes late.
    let mut live = Stream::open(&bench.app.base, &room, &ann.token, &[]).await;
    ann.post(&room, &json!({"text": "Here I go."})).await;
    ann.done(&format!("{HELLO}/submit"), json!({})).await;
    ann.done(&format!("{HELLO}/finish"), json!({})).await;
    let end = "The lab is finished; nothing of it is left.";
    let after = [
        "Here I go.",
        "An attempt is handed in and being graded.",
        "Grading has ended.",
        "Attempt 1 scored 75 of 100.",
        "The lab is being taken down.",
        end,
    ];
    assert_eq!(live.texts(after.len()).await, after);
    let before = ["Lab hello-terraform is being launched.", "The lab is ready."];
    assert_eq!(read(&bench.app.base, &session, &ann.token, end).await, [&before[..], &after].concat());

    let mut first = Stream::open(&bench.app.base, &format!("{room}?after=0"), &ann.token, &[]).await;
    let from = first.message().await.unwrap()["from"].clone();
    let service =
        json!({"id": "00000000-0000-0000-0000-000000000000", "name": "the service", "kind": "system"});
    assert_eq!(from, service);
    Person::learner(&bench, "ben").await.get(&room).await.refused(404, "room.unknown");
    let operator = Person::operator(&bench).await;
    assert_eq!(read(&bench.app.base, &session, &operator.token, end).await.len(), before.len() + after.len());
}

#[tokio::test]
async fn a_service_that_is_killed_on_the_way_tells_everything_once() {
    let mut bench = Bench::with_lab("waits", WAITS, GRADER).await;
    let id = bench.begin(json!("lab-launch"), json!({"lab": "waits"})).await;
    let second = bench.appears("waits", "second.runs").await;
    let session = session_of(&bench, "waits").await;
    bench.app.kill_and_restart().await;
    bench.app.kill_and_restart().await;
    std::fs::write(second.parent().unwrap().join("go"), "").unwrap();
    assert_eq!(bench.end(&id).await["status"], "succeeded");
    bench.run("lab-finish", json!({"lab": "waits"})).await;
    let end = "The lab is finished; nothing of it is left.";
    let all = ["Lab waits is being launched.", "The lab is ready.", "The lab is being taken down.", end];
    assert_eq!(told(&bench, &session, end).await, all);
}

#[tokio::test]
async fn a_cancelled_launch_is_told_from_one_that_failed() {
    let bench = Bench::with_lab("waits", WAITS, GRADER).await;
    let id = bench.begin(json!("lab-launch"), json!({"lab": "waits"})).await;
    bench.appears("waits", "second.runs").await;
    let session = session_of(&bench, "waits").await;
    bench.cancel(&id).await;
    assert_eq!(bench.end(&id).await["status"], "cancelled");
    let end = "The launch was cancelled; nothing of the lab is left.";
    let all = ["Lab waits is being launched.", "The lab is being taken down.", end];
    assert_eq!(told(&bench, &session, end).await, all);

    let broken = r#"resource "terraform_data" "x" { provisioner "local-exec" { command = "exit 3" } }"#;
    let bench = Bench::with_lab("broken", broken, GRADER).await;
    let run: Value = bench.run("lab-launch", json!({"lab": "broken"})).await;
    assert_eq!(run["status"], "undone", "{run}");
    let session = bench.output(&run, "open_session")["session"].as_str().unwrap().to_owned();
    let end = "The launch failed; nothing of the lab is left.";
    assert_eq!(told(&bench, &session, end).await.last().unwrap(), end);
}
