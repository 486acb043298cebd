//! Starting flows, waiting for them or not, and starting one request once.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{RUNS, begin, ended, flow, naps, seen, start};
use crate::harness::TestApp;

#[tokio::test]
async fn the_classic_flow_runs_as_it_stands() {
    let app = TestApp::start().await;
    let token = app.login().await;
    let body: Value = serde_json::from_str(include_str!("classic-flow.json")).unwrap();
    let answer = start(&app, &token, &body, &[]).await;
    assert_eq!(
        (answer.status, answer.body["status"].as_str()),
        (StatusCode::OK, Some("succeeded")),
        "{}",
        answer.body
    );
    let run = &answer.body;
    assert_eq!((run["flow_id"].as_str(), run["percent"].as_u64()), (Some("flow123"), Some(100)));
    let tasks = run["tasks"].as_array().unwrap();
    let names: Vec<_> =
        tasks.iter().map(|task| (task["name"].as_str().unwrap(), task["task"].as_str().unwrap())).collect();
    assert_eq!(names, [("task1", "fetch_data"), ("task2", "process_data"), ("task3", "store_data")]);
    assert!(tasks.iter().all(|task| task["status"] == "succeeded" && task["attempt"] == 1));
    assert_eq!(
        tasks[2]["output"]["stored"].as_u64(),
        Some(tasks[1]["output"]["rows"].as_array().unwrap().len() as u64)
    );
    let sums = &tasks[1]["output"]["rows"];
    assert_eq!(sums[0]["state"], "AZ", "the largest first: {sums}");
    assert_eq!(answer.headers["preference-applied"], "wait=30");
    let mut again = app.get(run["links"]["self"].as_str().unwrap(), &token).await.body;
    // Who asks for one run as an operator also sees what each step was given.
    for task in again["tasks"].as_array_mut().unwrap() {
        assert!(
            task.as_object_mut().unwrap().remove("input").is_some_and(|input| input.is_object()),
            "{task}"
        );
    }
    assert_eq!(again, *run);
}

#[tokio::test]
async fn a_caller_waits_as_long_as_it_prefers() {
    let app = TestApp::start().await;
    let token = app.login().await;
    let named = json!({"flow": "hello", "input": {"name": "Ann"}});
    let answer = start(&app, &token, &named, &[]).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body["tasks"][1]["output"]["rows"], json!([{"greeting": "hello", "name": "Ann"}]));

    for (prefer, applied) in [("wait=0", "wait=0"), ("respond-async", "respond-async"), ("wait=1", "wait=1")]
    {
        let body = json!({"flow": naps(3.5)});
        let answer = start(&app, &token, &body, &[("Prefer", prefer)]).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{prefer}");
        assert_eq!(answer.headers["preference-applied"], applied);
        assert_eq!(answer.headers["location"], answer.body["links"]["self"].as_str().unwrap());
        assert!(answer.headers["retry-after"].to_str().unwrap().parse::<u32>().unwrap() > 0);
        let run = ended(&app, &token, answer.headers["location"].to_str().unwrap()).await;
        assert_eq!(run["status"], "succeeded");
    }
    // A run that has failed is an answer like any other.
    let broken = flow(&[("bad", "process_data", json!({"rows": "${input.rows}"}))]);
    let answer = start(&app, &token, &json!({"flow": broken, "input": {"rows": 7}}), &[]).await;
    assert_eq!(
        (answer.status, answer.body["status"].as_str()),
        (StatusCode::OK, Some("failed")),
        "{}",
        answer.body
    );
    assert_eq!(answer.body["error"]["step"], "bad");
}

#[tokio::test]
async fn sixteen_slow_flows_take_about_as_long_as_one() {
    let app = TestApp::start().await;
    let token = app.login().await;
    let one = async || {
        let begun = Instant::now();
        let answer = app.run_flow(&token, &naps(1.0), &json!({})).await;
        assert_eq!((answer.status, answer.body["status"].as_str()), (StatusCode::OK, Some("succeeded")));
        begun.elapsed()
    };
    let alone = one().await;
    assert!(alone >= Duration::from_secs(1));
    let begun = Instant::now();
    futures_util::future::join_all((0..16).map(|_| one())).await;
    let together = begun.elapsed();
    println!("one {alone:?}, sixteen together {together:?}");
    assert!(together < alone * 3, "one {alone:?}, sixteen together {together:?}");
}

#[tokio::test]
async fn a_caller_that_hangs_up_does_not_stop_its_run() {
    let app = TestApp::start().await;
    let token = app.login().await;
    let body = json!({"flow": naps(1.2)});
    let post = app.request(Method::POST, "/flow-manager").bearer_auth(&token).json(&body);
    let hung_up = tokio::time::timeout(Duration::from_millis(600), post.send()).await;
    assert!(hung_up.is_err(), "the answer came before the caller hung up");
    let list = app.get(RUNS, &token).await;
    let path = list.body["data"][0]["links"]["self"].as_str().unwrap().to_owned();
    assert_eq!(ended(&app, &token, &path).await["status"], "succeeded");
}

#[tokio::test]
async fn a_request_sent_twice_is_done_once() {
    let app = TestApp::start().await;
    let token = app.login().await;
    let key = [("Idempotency-Key", "k-1"), ("Prefer", "wait=0")];
    let body = json!({"flow": naps(1.0)});
    let first = start(&app, &token, &body, &key).await;
    assert_eq!(first.status, StatusCode::ACCEPTED);
    let going = start(&app, &token, &body, &key).await;
    assert_eq!(going.body["id"], first.body["id"], "also while it is going");
    let waited = start(&app, &token, &body, &[("Idempotency-Key", "k-1")]).await;
    assert_eq!((waited.status, &waited.body["id"]), (StatusCode::OK, &first.body["id"]));
    start(&app, &token, &json!({"flow": "hello"}), &key).await.refused(422, "idempotency.key_reused");
    start(&app, &token, &body, &[("Idempotency-Key", "")]).await.refused(400, "idempotency.key_invalid");

    // A refused request leaves its key free.
    let refused = start(&app, &token, &json!({"flow": "no-such-flow"}), &[("Idempotency-Key", "k-2")]).await;
    refused.refused(422, "flow.unknown");
    let fresh = start(&app, &token, &json!({"flow": "hello"}), &[("Idempotency-Key", "k-2")]).await;
    assert_eq!(fresh.status, StatusCode::OK);
    // Sixteen at once.
    let same = [("Idempotency-Key", "k-3")];
    let hello = json!({"flow": "hello"});
    let answers = futures_util::future::join_all((0..16).map(|_| start(&app, &token, &hello, &same))).await;
    assert!(
        answers.iter().all(|answer| answer.status.is_success() && answer.body["id"] == answers[0].body["id"])
    );
}

#[tokio::test]
async fn runs_of_one_key_wait_for_each_other_and_say_so() {
    let app = TestApp::start().await;
    let token = app.login().await;
    let mut keyed = naps(1.0);
    keyed["concurrency_key"] = json!("only-one");
    let mut paths = Vec::new();
    for _ in 0..3 {
        paths.push(begin(&app, &token, &keyed).await);
    }
    let why = app.get(&format!("{}/why", paths[2]), &token).await.body;
    assert_eq!((why["status"].as_str(), &why["blocked_by"]["ahead"]), (Some("queued"), &json!(1)), "{why}");
    let mut before = String::new();
    for path in &paths {
        let run = ended(&app, &token, path).await;
        assert_eq!(run["status"], "succeeded");
        let started = run["started_at"].as_str().unwrap().to_owned();
        assert!(started > before, "one began at {started} before the last was over at {before}");
        before = run["finished_at"].as_str().unwrap().to_owned();
    }
}

#[tokio::test]
async fn a_crash_loses_no_run() {
    let mut app = TestApp::start().await;
    let token = app.login().await;
    let steps = flow(&[
        ("store", "store_data", json!({"dataset": "kept", "rows": [{"n": 1}]})),
        ("nap", "sleep", json!({"seconds": 2})),
        ("last", "noop", json!({})),
    ]);
    let path = begin(&app, &token, &steps).await;
    seen(&app, &token, &path, |run| run["status"] == "waiting").await;
    app.kill_and_restart().await;
    let run = ended(&app, &token, &path).await;
    assert_eq!(
        (run["status"].as_str(), &run["tasks"][0]["attempt"]),
        (Some("succeeded"), &json!(1)),
        "{run}"
    );
}
