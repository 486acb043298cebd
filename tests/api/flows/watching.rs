//! Following a run: as a long poll and as a stream, without a gap and without a double.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use super::{begin, ended, flow, naps};
use crate::harness::TestApp;

fn numbers(events: &[Value]) -> Vec<u64> {
    events.iter().map(|event| event["id"].as_u64().unwrap()).collect()
}

/// Reads a stream until `enough` events came, or `end`, which is returned as `true`.
async fn stream(app: &TestApp, token: &str, path: &str, last: u64, enough: usize) -> (Vec<Value>, bool) {
    let request = app.request(Method::GET, &format!("{path}/events")).bearer_auth(token);
    let mut response = request.header("Last-Event-ID", last.to_string()).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let (mut text, mut events) = (String::new(), Vec::new());
    while let Some(chunk) = response.chunk().await.unwrap() {
        text.push_str(std::str::from_utf8(&chunk).unwrap());
        while let Some((block, rest)) = text.split_once("\n\n") {
            let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
            if field("event:") == Some("end") {
                return (events, true);
            }
            if let Some(data) = field("data:") {
                let event: Value = serde_json::from_str(data).unwrap();
                assert_eq!(field("id:").unwrap(), event["id"].to_string());
                assert_eq!(field("event:"), event["type"].as_str());
                events.push(event);
            }
            text = rest.to_owned();
            if events.len() >= enough {
                return (events, false);
            }
        }
    }
    (events, false)
}

#[tokio::test]
async fn a_stream_resumes_where_it_broke_off() {
    let app = TestApp::start().await;
    let token = app.login().await;
    let steps: Vec<_> = ["a", "b", "c"]
        .iter()
        .flat_map(|name| [(*name, "noop", json!({}))])
        .chain([("nap", "sleep", json!({"seconds": 1})), ("last", "noop", json!({}))])
        .collect();
    let path = begin(&app, &token, &flow(&steps)).await;
    let (mut all, mut over) = (Vec::new(), false);
    while !over {
        let last = all.last().map_or(0, |event: &Value| event["id"].as_u64().unwrap());
        let (more, end) = stream(&app, &token, &path, last, 3).await;
        all.extend(more);
        over = end;
    }
    assert_eq!(numbers(&all), (1..=all.len() as u64).collect::<Vec<_>>(), "no gap and no double");
    let kinds: Vec<&str> = all.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!((kinds[0], kinds[kinds.len() - 1]), ("run.queued", "run.succeeded"));
    assert_eq!(kinds.iter().filter(|kind| **kind == "step.succeeded").count(), 5);
    let (whole, over) = stream(&app, &token, &path, 0, usize::MAX).await;
    assert!(over && whole == all, "whoever comes later sees the same");
}

#[tokio::test]
async fn a_long_poll_answers_when_something_happens() {
    let app = TestApp::start().await;
    let token = app.login().await;
    let path = begin(&app, &token, &naps(1.5)).await;
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        let answer = app.get(&format!("{path}/events?after={after}&wait=10"), &token).await.body;
        let events = answer["events"].as_array().unwrap().clone();
        all.extend(events);
        after = answer["after"].as_u64().unwrap();
        if answer["done"] == true {
            break;
        }
        assert!(!answer["events"].as_array().unwrap().is_empty(), "it waits for the first");
    }
    assert_eq!(numbers(&all), (1..=after).collect::<Vec<_>>());
    let begun = Instant::now();
    let answer = app.get(&format!("{path}/events?after={after}&wait=10"), &token).await.body;
    assert!(begun.elapsed() < Duration::from_secs(9), "nothing more will come");
    assert_eq!((answer["done"].as_bool(), answer["events"].as_array().unwrap().len()), (Some(true), 0));
    let quiet = begin(&app, &token, &naps(3600.0)).await;
    let all = app.get(&format!("{quiet}/events?wait=1"), &token).await.body;
    let begun = Instant::now();
    let mut after = all["after"].as_u64().unwrap();
    loop {
        let answer = app.get(&format!("{quiet}/events?after={after}&wait=1"), &token).await.body;
        if answer["events"].as_array().unwrap().is_empty() {
            assert_eq!(answer["after"].as_u64(), Some(after));
            break;
        }
        after = answer["after"].as_u64().unwrap();
    }
    assert!(begun.elapsed() >= Duration::from_secs(1));
    app.post(&format!("{quiet}/cancel"), &token, &json!({})).await;
    ended(&app, &token, &quiet).await;
}
