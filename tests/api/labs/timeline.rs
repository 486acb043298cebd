//! One list of all that happens in a session.

use serde_json::{Value, json};

use super::bench::Bench;
use super::crashes::WAITS;
use super::people::Person;

const HELLO: &str = "/labs/hello-terraform";

/// The whole of it, by the list, a page at a time.
async fn listed(person: &Person<'_>, session: &str) -> Vec<Value> {
    let (mut entries, mut after) = (Vec::new(), 0);
    loop {
        let page = person.see(&format!("{session}/timeline?after={after}&wait=30")).await;
        entries.extend(page["entries"].as_array().unwrap().clone());
        if page["done"] == true {
            return entries;
        }
        after = page["after"].as_i64().unwrap();
    }
}

/// Reads the stream from after this entry on: to its end, or only so many.
async fn streamed(person: &Person<'_>, base: &str, session: &str, after: i64, most: usize) -> Vec<Value> {
    let request = reqwest::Client::new().get(format!("{base}{session}/timeline"));
    let request = request.bearer_auth(&person.token).header("Last-Event-ID", after.to_string());
    let mut answer = request.send().await.unwrap();
    let (mut text, mut entries) = (String::new(), Vec::new());
    while let Some(chunk) = answer.chunk().await.unwrap() {
        text.push_str(&String::from_utf8_lossy(&chunk));
        while let Some((event, rest)) = text.split_once("\n\n") {
            let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
            if field("event:") == Some("end") {
                return entries;
            }
            if let (Some(id), Some(data)) = (field("id:"), field("data:")) {
                let entry: Value = serde_json::from_str(data).unwrap();
                assert_eq!(entry["id"].to_string(), id);
                assert_eq!(entry["type"].as_str(), field("event:"));
                entries.push(entry);
                if entries.len() == most {
                    return entries;
                }
            }
            text = rest.to_owned();
        }
    }
    panic!("it ended without saying so: {entries:?}");
}

#[tokio::test]
async fn it_tells_the_whole_journey_in_order_and_again_from_any_place() {
    let bench = Bench::shipped().await;
    let ann = Person::learner(&bench, "ann").await;
    ann.done(&format!("{HELLO}/launch"), json!({})).await;
    let session = ann.see(&format!("{HELLO}/session")).await;
    let path = session["links"]["self"].as_str().unwrap().to_owned();
    let room = format!("/room/session.{}", session["id"].as_str().unwrap());
    // One watches from the beginning, live, and hears of all in the end.
    let live = streamed(&ann, &bench.app.base, &path, 0, usize::MAX);
    let work = async {
        assert_eq!(ann.post(&room, &json!({"text": "Here I go."})).await.status, 201);
        ann.done(&format!("{path}/steps/1/check"), json!({})).await;
        ann.done(&format!("{HELLO}/submit"), json!({})).await;
        ann.done(&format!("{HELLO}/finish"), json!({})).await;
    };
    let (all, ()) = tokio::join!(live, work);

    let numbers: Vec<_> = all.iter().map(|entry| entry["id"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=all.len() as u64).collect::<Vec<_>>());
    let find = |kind: &str, of: &dyn Fn(&Value) -> bool| {
        all.iter()
            .position(|entry| entry["type"] == kind && of(entry))
            .unwrap_or_else(|| panic!("no {kind}: {all:#?}"))
    };
    let any = |_: &Value| true;
    let flow = |name: &'static str| move |entry: &Value| entry["data"]["flow"] == name;
    let applied = |entry: &Value| entry["step"] == "terraform_apply";
    let order = [
        find("sign_in", &any),
        find("session.launching", &any),
        find("run.running", &flow("lab-launch")),
        find("step.started", &applied),
        find("output", &applied),
        find("step.succeeded", &applied),
        find("session.ready", &any),
        find("room.message", &|entry| entry["data"]["text"] == "Here I go."),
        find("step.open", &|entry| entry["data"]["step"] == 1),
        find("session.grading", &any),
        find("grade", &|entry| entry["data"]["score"] == 75.0),
        find("session.finishing", &any),
        find("session.finished", &any),
        find("run.succeeded", &flow("lab-finish")),
    ];
    assert!(order.is_sorted(), "{order:?}: {all:#?}");
    find("progress", &applied);

    // The same by the list, and by a stream from its middle.
    assert_eq!(listed(&ann, &path).await, all);
    let middle = all.len() / 2;
    let rest = streamed(&ann, &bench.app.base, &path, middle as i64, usize::MAX).await;
    assert_eq!(rest, all[middle..]);
    Person::learner(&bench, "eve")
        .await
        .get(&format!("{path}/timeline"))
        .await
        .refused(404, "session.unknown");
    let operator = Person::operator(&bench).await;
    assert_eq!(listed(&operator, &path).await, all);
    ann.get(&format!("{path}/timeline?after=x")).await.refused(400, "query.invalid");
}

#[tokio::test]
async fn nothing_is_lost_or_told_twice_when_the_service_dies() {
    let mut bench = Bench::with_lab("waits", WAITS, "#!/bin/sh\nexit 2\n").await;
    let ann = Person::learner(&bench, "ann").await;
    let launch = ann.post("/labs/waits/launch", &json!({})).await.body;
    let second = bench.appears("waits", "second.runs").await;
    let session = ann.see("/labs/waits/session").await["links"]["self"].as_str().unwrap().to_owned();
    let first = streamed(&ann, &bench.app.base, &session, 0, 5).await;
    let token = ann.token.clone();
    bench.app.kill_and_restart().await;
    std::fs::write(second.with_file_name("go"), "").unwrap();
    assert_eq!(bench.end(launch["id"].as_str().unwrap()).await["status"], "succeeded");
    bench.app.post("/labs/waits/finish", &token, &json!({})).await;
    let operator = Person::operator(&bench).await;
    operator.until(&session, |session| session["status"] == "finished").await;
    // Readers at once take what is new; each entry has one place.
    let readers = (0..4).map(|_| listed(&operator, &session));
    let told = futures_util::future::join_all(readers).await;
    assert!(told.iter().all(|one| *one == told[0]));
    let all = &told[0];
    assert_eq!(all[..5], first);
    let count = |kind: &str| all.iter().filter(|entry| entry["type"] == kind).count();
    assert_eq!((count("session.launching"), count("session.ready"), count("session.finished")), (1, 1, 1));
    let last = all.last().unwrap();
    assert_eq!(
        (&last["type"], &last["data"]["flow"]),
        (&json!("run.succeeded"), &json!("lab-finish")),
        "{last}"
    );
}

#[tokio::test]
async fn a_reset_is_told_to_each_of_its_two_sessions_as_far_as_it_is_theirs() {
    let bench = Bench::shipped().await;
    let ann = Person::learner(&bench, "ann").await;
    ann.done(&format!("{HELLO}/launch"), json!({})).await;
    let old = ann.see(&format!("{HELLO}/session")).await["links"]["self"].as_str().unwrap().to_owned();
    ann.done(&format!("{HELLO}/reset"), json!({})).await;
    let new = ann.see(&format!("{HELLO}/session")).await["links"]["self"].as_str().unwrap().to_owned();
    ann.done(&format!("{HELLO}/finish"), json!({})).await;
    let steps = |entries: Vec<Value>| -> Vec<String> {
        let started = entries.iter().filter(|entry| entry["type"] == "step.started");
        started.map(|entry| entry["step"].as_str().unwrap().to_owned()).collect()
    };
    let (old, new) = (steps(listed(&ann, &old).await), steps(listed(&ann, &new).await));
    assert!(
        old.contains(&"terraform_destroy".to_owned())
            && old.iter().filter(|step| *step == "terraform_apply").count() == 1,
        "{old:?}"
    );
    assert_eq!(new.iter().filter(|step| *step == "terraform_apply").count(), 1, "{new:?}");
    assert!(!new[..3].contains(&"terraform_destroy".to_owned()), "{new:?}");
}
