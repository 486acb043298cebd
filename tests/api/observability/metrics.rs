//! `/metrics`: what is counted, for whom, and that nobody makes it grow.

use std::collections::BTreeSet;

use reqwest::StatusCode;
use serde_json::json;

use crate::flows::{RUNS, flow};
use crate::harness::TestApp;

/// The text, once it says this.
async fn told(app: &TestApp, wanted: &str) -> String {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let answer = app.get("/metrics", "").await;
        assert_eq!(answer.status, StatusCode::OK);
        let text = answer.body.as_str().unwrap().to_owned();
        if text.lines().any(|line| line == wanted) {
            return text;
        }
        assert!(std::time::Instant::now() < deadline, "{wanted} never came:\n{text}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn runs_steps_and_requests_are_counted_and_nothing_of_their_content_is_told() {
    let app = TestApp::start().await;
    let token = app.login().await;
    let secret = "a-value-that-nobody-sees";
    let posted = flow(&[("one", "noop", json!({"value": secret})), ("two", "sleep", json!({"seconds": 0}))]);
    for _ in 0..3 {
        let run = app.run_flow(&token, &posted, &json!({})).await.body;
        assert_eq!(run["status"], "succeeded");
    }
    app.run_flow(&token, &json!("hello"), &json!({"name": secret})).await;
    let broken = flow(&[("get", "fetch_data", json!({"url": "https://example.org/rows.json"}))]);
    assert_eq!(app.run_flow(&token, &broken, &json!({})).await.body["status"], "failed");
    app.get(&format!("{RUNS}/{secret}"), &token).await.refused(404, "run.unknown");
    app.get(&format!("/{secret}"), &token).await.refused(404, "path.unknown");

    let text = told(&app, "flow_manager_runs_ended_total{flow=\"(posted)\",status=\"succeeded\"} 3.0").await;
    for line in [
        "flow_manager_runs_created_total{flow=\"(posted)\"} 4.0",
        "flow_manager_runs_ended_total{flow=\"(posted)\",status=\"failed\"} 1.0",
        "flow_manager_runs_ended_total{flow=\"hello\",status=\"succeeded\"} 1.0",
        "flow_manager_runs_ended_total{flow=\"hello\",status=\"failed\"} 0.0",
        "flow_manager_steps_total{flow=\"(posted)\",task=\"noop\",outcome=\"done\"} 3.0",
        "flow_manager_steps_total{flow=\"(posted)\",task=\"sleep\",outcome=\"done\"} 3.0",
        "flow_manager_http_requests_total{method=\"POST\",route=\"/flow-manager\",status=\"200\"} 5.0",
        "flow_manager_http_requests_total{method=\"GET\",route=\"/flow-manager/runs/{id}\",status=\"404\"} 1.0",
        "flow_manager_http_requests_total{method=\"any\",route=\"(none)\",status=\"404\"} 1.0",
        "flow_manager_run_duration_seconds_count{flow=\"(posted)\"} 4",
        "flow_manager_database_up 1.0",
        "flow_manager_lease_held 1.0",
        "flow_manager_workers 1.0",
        "flow_manager_runs_claimable 0.0",
        "flow_manager_database_connections{state=\"most\"} 16.0",
        "# TYPE flow_manager_checkpoint_batch_writes histogram",
        "# TYPE flow_manager_cache_requests counter",
        "# TYPE flow_manager_events_handled counter",
        "# TYPE flow_manager_child_programs gauge",
        "# TYPE process_resident_memory_bytes gauge",
        "# EOF",
    ] {
        assert!(text.lines().any(|told| told == line), "{line} is missing:\n{text}");
    }
    assert!(!text.contains(secret) && !text.contains("user3784"), "{text}");
}

#[tokio::test]
async fn names_that_callers_make_up_add_no_line() {
    let app = TestApp::start().await;
    let token = app.login().await;
    let mut named = flow(&[("one", "noop", json!({}))]);
    named["name"] = json!("first");
    app.run_flow(&token, &named, &json!({})).await;
    app.get("/nowhere/1", &token).await;
    let names = |text: &str| -> BTreeSet<String> {
        text.lines().filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned())).collect()
    };
    let before = names(&told(&app, "flow_manager_runs_created_total{flow=\"(posted)\"} 1.0").await);
    for number in 0..20 {
        named["name"] = json!(format!("flow-{number}"));
        named["tasks"][0]["name"] = json!(format!("step-{number}"));
        app.run_flow(&token, &named, &json!({})).await;
        app.get(&format!("/nowhere/{number}"), &token).await;
    }
    let after = names(&told(&app, "flow_manager_runs_created_total{flow=\"(posted)\"} 21.0").await);
    let grown: Vec<_> =
        after.difference(&before).filter(|name| !name.contains("route=\"/metrics\"")).collect();
    assert!(grown.is_empty(), "{grown:?}");
}

#[tokio::test]
async fn alert_rules_ask_for_what_there_is() {
    let app = TestApp::start().await;
    let text = told(&app, "flow_manager_database_up 1.0").await;
    let families: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let rules = include_str!("../../../config/prometheus/alerts.yml");
    let asked = rules.match_indices("flow_manager_").map(|(at, _)| {
        let name = &rules[at..];
        let end = name.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        name[..end.unwrap_or(name.len())].trim_end_matches("_bucket").trim_end_matches("_total")
    });
    let asked: BTreeSet<&str> = asked.collect();
    assert!(asked.len() >= 10, "{asked:?}");
    // Families without a sample yet are not shown.
    let quiet = BTreeSet::from(["flow_manager_dead_letters"]);
    let missing: Vec<_> = asked.difference(&families).filter(|name| !quiet.contains(**name)).collect();
    assert!(missing.is_empty(), "{missing:?} of {families:?}");
}
