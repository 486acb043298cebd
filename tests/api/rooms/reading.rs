//! Saying something and reading it: live, again, and as server-sent events.

use std::time::{Duration, Instant};

use flow_domain::users::Role;
use serde_json::{Value, json};

use super::{PATIENCE, Stream, delete, people, say, start, token_of};
use crate::harness::TestApp;

fn ids(messages: &[Value]) -> Vec<i64> {
    messages.iter().map(|message| message["id"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn what_is_said_is_read_as_it_comes_by_all_kinds_of_people() {
    let app = start().await;
    let kinds = [(Role::Anonymous, None), (Role::Anonymous, Some("tim")), (Role::Learner, Some("rita"))];
    let tokens = kinds.map(|(role, name)| token_of(role, name));
    let mut reader = Stream::open(&app.base, "/room/lobby", &tokens[0], &[]).await;
    assert_eq!((reader.status, reader.headers["content-type"].as_str()), (200, "application/x-ndjson"));
    for (token, (kind, name)) in
        tokens.iter().zip([("anonymous", None), ("temporary", Some("tim")), ("registered", Some("rita"))])
    {
        let said = say(&app, token, "lobby", "hello").await;
        assert_eq!(reader.message().await.as_ref(), Some(&said));
        assert_eq!((&said["room"], &said["text"]), (&json!("lobby"), &json!("hello")));
        assert_eq!(said["from"]["kind"], kind);
        let shown = said["from"]["name"].as_str().unwrap();
        assert!(name.map_or(shown.starts_with("anonymous-"), |name| shown == name), "{shown}");
        assert!(said["at"].as_str().unwrap().ends_with('Z'));
    }
}

#[tokio::test]
async fn a_stream_ends_cleanly_after_its_time_and_not_before() {
    let app = start().await;
    let token = token_of(Role::Anonymous, Some("ann"));
    let begun = Instant::now();
    let mut reader = Stream::open(&app.base, "/room/lobby?timeout=1", &token, &[]).await;
    assert!(reader.rest().await.is_empty());
    assert!(begun.elapsed() >= Duration::from_secs(1));
    // The connection is good for another call.
    assert_ne!(reader.headers.get("connection").map(String::as_str), Some("close"));
}

#[tokio::test]
async fn a_reader_who_comes_back_misses_nothing_and_reads_nothing_twice() {
    let app = start().await;
    let token = token_of(Role::Anonymous, Some("ann"));
    let writing = async {
        for number in 0..200 {
            say(&app, &token, "busy", &format!("message {number}")).await;
        }
    };
    let reading = async {
        let mut all: Vec<Value> = Vec::new();
        while all.len() < 200 {
            let after = ids(&all).last().copied().unwrap_or(0);
            let by_header = ("Last-Event-ID", after.to_string());
            let (path, headers) = match all.len() % 2 {
                0 => (format!("/room/busy?timeout=1&after={after}"), vec![]),
                _ => ("/room/busy?timeout=1".to_owned(), vec![(by_header.0, by_header.1.as_str())]),
            };
            all.extend(Stream::open(&app.base, &path, &token, &headers).await.rest().await);
        }
        all
    };
    let ((), all) = tokio::join!(writing, reading);
    assert_eq!(ids(&all), (1..=200).collect::<Vec<_>>(), "in order, no gap, no double");
    assert!(all.iter().enumerate().all(|(at, message)| message["text"] == format!("message {at}")));
}

#[tokio::test]
async fn without_a_number_a_stream_begins_now_and_zero_is_the_whole_history() {
    let app = start().await;
    let token = token_of(Role::Anonymous, Some("ann"));
    for text in ["a", "b", "c"] {
        say(&app, &token, "lobby", text).await;
    }
    let mut from_now = Stream::open(&app.base, "/room/lobby", &token, &[]).await;
    let mut from_the_start = Stream::open(&app.base, "/room/lobby?after=0", &token, &[]).await;
    let mut from_beyond = Stream::open(&app.base, "/room/lobby?after=99", &token, &[]).await;
    say(&app, &token, "lobby", "d").await;
    assert_eq!(from_now.texts(1).await, ["d"]);
    assert_eq!(from_the_start.texts(4).await, ["a", "b", "c", "d"]);
    assert_eq!(from_beyond.texts(1).await, ["d"]);
}

#[tokio::test]
async fn the_same_comes_as_server_sent_events() {
    let app = start().await;
    let token = token_of(Role::Anonymous, Some("ann"));
    let headers = [("Accept", "text/event-stream")];
    let mut reader = Stream::open(&app.base, "/room/lobby", &token, &headers).await;
    assert_eq!(reader.headers["content-type"], "text/event-stream");
    let said = say(&app, &token, "lobby", "line \"one\"").await;
    let mut lines = Vec::new();
    while lines.len() < 4 {
        let line = reader.line().await.unwrap().unwrap();
        // A comment, and the empty line that ends it, keep it open.
        if line != ":" && !(line.is_empty() && lines.is_empty()) {
            lines.push(line);
        }
    }
    assert_eq!((&*lines[0], &*lines[1], &*lines[3]), ("id: 1", "event: message", ""));
    assert_eq!(serde_json::from_str::<Value>(lines[2].strip_prefix("data: ").unwrap()).unwrap(), said);
}

#[tokio::test]
#[ignore = "reads a quiet room for 40 s"]
async fn a_quiet_stream_is_kept_open() {
    let app = start().await;
    let token = token_of(Role::Anonymous, Some("ann"));
    let read = async |accept: &str| {
        let mut reader =
            Stream::open(&app.base, "/room/quiet?timeout=40", &token, &[("Accept", accept)]).await;
        let mut lines = Vec::new();
        while let Some(line) = reader.line().await.unwrap() {
            lines.push(line);
        }
        lines
    };
    let (lines, events) = tokio::join!(read("*/*"), read("text/event-stream"));
    // After 1, 2, 4, 8, 16 and 31 s.
    assert_eq!(lines, [""; 6]);
    assert_eq!(events, [":", ""].repeat(6));
}

/// Nobody may be kept from reading by the streams of those who are gone.
#[tokio::test]
async fn the_place_of_a_client_that_is_gone_is_soon_free() {
    let places = [("FLOW_AUTH_SECRET", people::SECRET), ("FLOW_STREAMS_PER_CALLER", "2")];
    let app = TestApp::start_with(&places).await;
    let token = token_of(Role::Anonymous, Some("ann"));
    for _ in 0..3 {
        let open = async || Stream::open(&app.base, "/room/lobby?timeout=3600", &token, &[]).await;
        let free = async {
            while open().await.status != 200 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, free).await.expect("it is free again");
    }
}

#[tokio::test]
async fn whoever_reads_is_seen_and_whoever_leaves_is_answered_and_reads_no_more() {
    let app = start().await;
    let (ann, ben) = (token_of(Role::Anonymous, Some("ann")), token_of(Role::Learner, Some("ben")));
    let mut anns = [
        Stream::open(&app.base, "/room/lobby", &ann, &[]).await,
        Stream::open(&app.base, "/room/lobby", &ann, &[]).await,
    ];
    let mut elsewhere = Stream::open(&app.base, "/room/other", &ann, &[]).await;
    let mut bens = Stream::open(&app.base, "/room/lobby", &ben, &[]).await;
    let names = async || {
        let answer = app.get("/room/lobby/who", &ben).await;
        let users = answer.body["users"].as_array().unwrap().clone();
        users.iter().map(|user| user["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names().await, ["ann", "ben"], "each once");
    let left = delete(&app, &ann, "/room/lobby/me").await;
    assert_eq!((left.status.as_u16(), left.body), (200, json!({"status": "ok"})));
    for stream in &mut anns {
        assert_eq!(stream.message().await, None, "it ends cleanly");
    }
    assert_eq!(names().await, ["ben"]);
    say(&app, &ann, "lobby", "bye").await;
    say(&app, &ann, "other", "still here").await;
    assert_eq!(bens.texts(1).await, ["bye"]);
    assert_eq!(elsewhere.texts(1).await, ["still here"]);
    let mut again = Stream::open(&app.base, "/room/lobby?after=0", &ann, &[]).await;
    assert_eq!(again.texts(1).await, ["bye"], "one may come back");
}

#[tokio::test]
async fn a_deleted_message_is_no_longer_read() {
    let app = start().await;
    let (ann, ben) = (token_of(Role::Anonymous, Some("ann")), token_of(Role::Learner, Some("ben")));
    for text in ["a", "b", "c"] {
        say(&app, &ann, "lobby", text).await;
    }
    delete(&app, &ben, "/room/lobby/2").await.refused(403, "message.not_yours");
    assert_eq!(delete(&app, &ann, "/room/lobby/2").await.status, 204);
    delete(&app, &ann, "/room/lobby/2").await.refused(404, "message.unknown");
    assert_eq!(delete(&app, &app.login().await, "/room/lobby/3").await.status, 204);
    say(&app, &ann, "lobby", "d").await;
    let mut reader = Stream::open(&app.base, "/room/lobby?after=0", &ben, &[]).await;
    assert_eq!(reader.texts(2).await, ["a", "d"]);
}
