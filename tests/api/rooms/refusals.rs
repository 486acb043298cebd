//! What rooms refuse, and how.

use flow_domain::users::Role;
use serde_json::{Value, json};

use super::{Stream, delete, people, start, token_of};
use crate::harness::{Answer, TestApp};

#[tokio::test]
async fn nobody_reads_or_talks_without_a_token() {
    let app = start().await;
    for (method, path) in [
        ("GET", "/room/a"),
        ("POST", "/room/a"),
        ("GET", "/room/a/who"),
        ("DELETE", "/room/a/me"),
        ("DELETE", "/room/a/1"),
    ] {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let answer = Answer::to(app.request(method, path).json(&json!({"text": "x"}))).await;
        answer.refused(401, "auth.token_missing");
    }
}

#[tokio::test]
async fn names_times_and_numbers_are_checked() {
    let app = start().await;
    let token = token_of(Role::Anonymous, None);
    let long = "x".repeat(65);
    for name in ["a%20b", "a%2Fb", "..%2Fx", "%C3%A9", "a'b", "lab.", "session.7", "LAB.x", &long] {
        app.get(&format!("/room/{name}"), &token).await.refused(400, "room.name_invalid");
        app.post(&format!("/room/{name}"), &token, &json!({"text": "x"}))
            .await
            .refused(400, "room.name_invalid");
        app.get(&format!("/room/{name}/who"), &token).await.refused(400, "room.name_invalid");
        delete(&app, &token, &format!("/room/{name}/me")).await.refused(400, "room.name_invalid");
        delete(&app, &token, &format!("/room/{name}/1")).await.refused(400, "room.name_invalid");
    }
    for query in [
        "timeout=0",
        "timeout=3601",
        "timeout=-1",
        "timeout=x",
        "timeout=",
        "after=-1",
        "after=x",
        "wait=1",
        "timeout=1&timeout=1",
    ] {
        app.get(&format!("/room/a?{query}"), &token).await.refused(400, "query.invalid");
    }
    for id in ["0", "7", "x", "01", "+1", "-1", "99999999999999999999", "me2"] {
        delete(&app, &token, &format!("/room/a/{id}")).await.refused(404, "message.unknown");
    }
}

#[tokio::test]
async fn a_message_is_one_line_that_says_something() {
    let app = start().await;
    let token = token_of(Role::Anonymous, Some("ann"));
    let post = async |body: &Value| app.post("/room/a", &token, body).await;
    for (text, code) in [
        ("", "message.empty"),
        ("   ", "message.empty"),
        ("\u{1b}[31mred", "message.control_character"),
        ("two\nlines", "message.control_character"),
        (&"é".repeat(4001), "message.too_long"),
    ] {
        let answer = post(&json!({"text": text})).await;
        answer.refused(422, "message.invalid");
        assert_eq!(answer.body["errors"][0]["code"], code);
        assert_eq!(answer.body["errors"][0]["pointer"], "/text");
    }
    for body in [
        json!({}),
        json!({"text": 7}),
        json!([]),
        json!({"text": "x", "from": "root"}),
        json!({"text": "a\0b"}),
    ] {
        post(&body).await.refused(422, "body.invalid");
    }
    let send = async |kind: &str, body: String| {
        let request = app.request(reqwest::Method::POST, "/room/a").bearer_auth(&token);
        Answer::to(request.header("Content-Type", kind).body(body)).await
    };
    send("application/json", "{\"text\":".into()).await.refused(400, "body.not_json");
    send("application/json", String::new()).await.refused(400, "body.missing");
    send("text/plain", "{\"text\":\"x\"}".into()).await.refused(415, "body.not_json_type");
    send("application/json", format!("{{\"text\":\"{}\"}}", "x".repeat(1 << 20)))
        .await
        .refused(413, "body.too_large");
    assert_eq!(post(&json!({"text": "é".repeat(4000)})).await.status, 201);
}

#[tokio::test]
async fn rooms_of_labs_are_for_those_in_them() {
    let app = start().await;
    let operator = app.login().await;
    let learner = token_of(Role::Learner, Some("ben"));
    let session = "session.0190a5a0-0000-7000-8000-000000000000";
    for (room, status, code) in
        [("lab.hello-terraform", 403, "room.forbidden"), (session, 404, "room.unknown")]
    {
        for token in [&learner, &token_of(Role::Anonymous, None)] {
            app.get(&format!("/room/{room}"), token).await.refused(status, code);
            app.post(&format!("/room/{room}"), token, &json!({"text": "x"})).await.refused(status, code);
            app.get(&format!("/room/{room}/who"), token).await.refused(status, code);
            delete(&app, token, &format!("/room/{room}/1")).await.refused(status, code);
        }
        let mut reader = Stream::open(&app.base, &format!("/room/{room}"), &operator, &[]).await;
        app.post(&format!("/room/{room}"), &operator, &json!({"text": "x"})).await;
        assert_eq!(reader.texts(1).await, ["x"]);
    }
}

#[tokio::test]
async fn whoever_posts_too_fast_is_told_when_to_come_back() {
    let settings = [("FLOW_AUTH_SECRET", people::SECRET), ("FLOW_ROOMS_POSTS_PER_MINUTE", "6")];
    let app = TestApp::start_with(&settings).await;
    let (ann, ben) = (token_of(Role::Anonymous, Some("ann")), token_of(Role::Anonymous, Some("ben")));
    let body = json!({"text": "x"});
    assert_eq!(app.post("/room/a", &ann, &body).await.status, 201);
    let answer = app.post("/room/b", &ann, &body).await;
    answer.refused(429, "room.too_fast");
    let wait: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=10).contains(&wait), "{wait}");
    assert_eq!(app.post("/room/a", &ben, &body).await.status, 201, "each user has their own measure");
}
