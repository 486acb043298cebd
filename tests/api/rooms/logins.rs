//! The three ways to sign in, and what each may enter.

use flow_domain::UserId;
use flow_domain::labs::LabSessions;
use flow_manager::driven::postgres::PgLabSessions;
use reqwest::Method;
use serde_json::{Value, json};

use super::{PATIENCE, Stream, say, start};
use crate::contract::lab;
use crate::harness::{Answer, TestApp};

const PASSWORD: &str = "bY7-tea&cake";

/// A token and the user it is for.
async fn login(app: &TestApp, body: Value) -> (String, Value) {
    let answer = app.post("/login", "", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    (answer.body["token"].as_str().unwrap().to_owned(), answer.body["user"].clone())
}

#[tokio::test]
async fn all_three_variants_talk_and_are_told_apart() {
    let app = start().await;
    let (rita, user) = login(&app, json!({"username": "rita", "password": PASSWORD})).await;
    let (tim, _) = login(&app, json!({"username": "tim"})).await;
    let (nobody, _) = login(&app, json!({})).await;
    let mut reader = Stream::open(&app.base, "/room/lobby", &nobody, &[]).await;
    let mut seen = Vec::new();
    for token in [&rita, &tim, &nobody] {
        say(&app, token, "lobby", "hello").await;
        let from = reader.message().await.unwrap()["from"].clone();
        seen.push((from["kind"].as_str().unwrap().to_owned(), from["name"].as_str().unwrap().to_owned()));
        assert!(token != &rita || from["id"] == user["id"]);
    }
    assert_eq!(seen[0], ("registered".to_owned(), "rita".to_owned()));
    assert_eq!(seen[1], ("temporary".to_owned(), "tim".to_owned()));
    assert!(seen[2].0 == "anonymous" && seen[2].1.starts_with("anonymous-"), "{:?}", seen[2]);
    for taken in ["TIM", "Rita"] {
        let answer = app.post("/login", "", &json!({"username": taken})).await;
        assert_eq!(answer.status, 401, "{taken} is somebody else: {}", answer.body);
    }
}

#[tokio::test]
async fn the_client_signs_in_in_all_three_ways() {
    let app = start().await;
    let (reading, _) = login(&app, json!({})).await;
    let mut reader = Stream::open(&app.base, "/room/lobby", &reading, &[]).await;
    for (arguments, password, kind) in [
        (&["--name", "rita"][..], Some(PASSWORD), "registered"),
        (&["--name", "tim"], None, "temporary"),
        (&[], None, "anonymous"),
    ] {
        let mut client = tokio::process::Command::new(env!("CARGO_BIN_EXE_flow-manager"));
        client.args(["chat", "lobby", "--plain", "--server", &app.base]).args(arguments);
        client.env_remove("FLOW_PASSWORD").envs(password.map(|password| ("FLOW_PASSWORD", password)));
        let input = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(input.path(), "hello\n").unwrap();
        client.stdin(input.reopen().unwrap()).stdout(std::process::Stdio::piped()).kill_on_drop(true);
        let output = tokio::time::timeout(PATIENCE, client.output()).await.expect("it ends").unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let message = reader.message().await.unwrap();
        assert_eq!((&message["from"]["kind"], &message["text"]), (&json!(kind), &json!("hello")));
        let shown = String::from_utf8(output.stdout).unwrap();
        let own = format!("{}: hello\n", message["from"]["name"].as_str().unwrap());
        assert!(shown.ends_with(&own), "{shown}");
    }
}

#[tokio::test]
async fn whoever_is_in_a_lab_enters_its_room_and_their_sessions_and_nobody_elses() {
    let app = start().await;
    let (rita, user) = login(&app, json!({"username": "rita", "password": PASSWORD})).await;
    let (rolf, _) = login(&app, json!({"username": "rolf", "password": PASSWORD})).await;
    let sessions = PgLabSessions::new(app.db.pool.clone());
    let rita_id = UserId::parse(user["id"].as_str().unwrap()).unwrap();
    let session = sessions.open(rita_id, &lab("hello-terraform")).await.unwrap();
    for (room, status, code) in [
        ("lab.hello-terraform".to_owned(), 403, "room.forbidden"),
        (format!("session.{}", session.id), 404, "room.unknown"),
    ] {
        let mut reader = Stream::open(&app.base, &format!("/room/{room}"), &rita, &[]).await;
        say(&app, &rita, &room, "hello").await;
        assert_eq!(reader.texts(1).await, ["hello"]);
        let request = app.request(Method::GET, &format!("/room/{room}?after=0")).bearer_auth(&rolf);
        Answer::to(request).await.refused(status, code);
        app.post(&format!("/room/{room}"), &rolf, &json!({"text": "x"})).await.refused(status, code);
    }
    app.get("/room/lab.another", &rita).await.refused(403, "room.forbidden");
}
