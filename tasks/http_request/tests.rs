use flow_domain::flows::{Outcome, Task};
use flow_domain::testing::TestContext;
use serde_json::json;

use super::*;

const URL: &str = "https://api.example/things";
const JSON: &[(&str, &str)] = &[("Content-Type", "application/json")];

async fn call(test: &TestContext, input: Value) -> Outcome {
    Task::run(&HttpRequest, &test.context(), input).await
}

async fn done(test: &TestContext, input: Value) -> Value {
    match call(test, input).await {
        Outcome::Done(output) => output,
        other => panic!("not done: {other:?}"),
    }
}

#[tokio::test]
async fn a_post_sends_json_and_an_idempotency_key_that_stays_the_same() {
    let mut test = TestContext::new().with_step("notify");
    test.http.answer(
        "POST",
        URL,
        201,
        &[("content-type", "application/json"), ("set-cookie", "a=b")],
        r#"{"id":7}"#,
    );
    let input = json!({"method": "POST", "url": URL, "body": {"a": 1}});
    let output = done(&test, input.clone()).await;
    let expected = json!({
        "status": 201, "headers": {"content-type": "application/json"}, "body": {"id": 7}, "size_bytes": 8,
    });
    assert_eq!(output, expected);
    test.attempt = 2;
    done(&test, input).await;
    for request in test.http.requests() {
        assert_eq!(request.headers["idempotency-key"], format!("{}/notify", test.run));
        assert_eq!(request.headers["content-type"], "application/json");
        assert_eq!(request.body.as_deref(), Some(&br#"{"a":1}"#[..]));
    }
}

#[tokio::test]
async fn a_get_sends_no_key_and_the_callers_own_key_stands() {
    let test = TestContext::new();
    test.http.answer("GET", URL, 200, &[], "hello");
    test.http.answer("PUT", URL, 204, &[], "");
    assert_eq!(done(&test, json!({"method": "GET", "url": URL})).await["body"], "hello");
    let put = json!({"method": "PUT", "url": URL, "headers": {"Idempotency-Key": "mine"}, "body": null});
    assert_eq!(done(&test, put).await["body"], Value::Null);
    let requests = test.http.requests();
    assert!(!requests[0].headers.contains_key("idempotency-key"));
    assert_eq!(requests[1].headers["idempotency-key"], "mine");
}

#[tokio::test]
async fn what_authorizes_is_never_echoed() {
    let test = TestContext::new();
    let body = r#"{"you sent": {"authorization": "Bearer s3cr3t-value"}, "s3cr3t-value": ["x s3cr3t-value y"],
        "cookie": "sid-abcdef", "pin": 1234, "plain": "visible", "zip": "12345"}"#;
    let headers = &[("content-type", "application/json"), ("location", "https://h/?t=s3cr3t-value")];
    test.http.answer("GET", URL, 200, headers, body);
    let text = r#"{"k": "quo\"ted-secret"}"#;
    test.http.answer("GET", "https://api.example/text", 200, &[], text);
    let sent = json!({
        "Authorization": "Bearer s3cr3t-value", "Cookie": "a=sid-abcdef; b=c", "X-Pin-Token": "1234",
        "X-Api-Key": "quo\"ted-secret", "X-Plain": "visible",
    });
    let output = done(&test, json!({"method": "GET", "url": URL, "headers": sent})).await;
    let expected = json!({
        "you sent": {"authorization": "***"}, "***": ["x *** y"], "cookie": "***", "pin": "***",
        "plain": "visible", "zip": "12345",
    });
    assert_eq!(output["body"], expected);
    assert_eq!(output["headers"]["location"], "https://h/?t=***");
    let input = json!({"method": "GET", "url": "https://api.example/text", "headers": sent});
    assert_eq!(done(&test, input).await["body"], r#"{"k": "***"}"#);
}

#[tokio::test]
async fn no_refusal_repeats_a_header_or_the_url() {
    let test = TestContext::new();
    test.http.answer("GET", URL, 403, JSON, r#"{"token": "s3cr3t-value"}"#);
    for input in [
        json!({"method": "GET", "url": URL, "headers": {"Authorization": "s3cr3t-value"}}),
        json!({"method": "GET", "url": "https://other/?k=s3cr3t-value", "headers": {"Authorization": "s3cr3t-value"}}),
        json!({"method": "GET", "url": URL, "headers": {"Host": "s3cr3t-value"}}),
        json!({"method": "GET", "url": URL, "headers": "Authorization: s3cr3t-value"}),
        json!({"method": "GET", "url": URL, "headers": {"Authorization": ["s3cr3t-value"]}}),
        json!({"method": "GET", "url": URL, "body": "s3cr3t-value"}),
        json!({"method": "GET", "url": URL, "timeout_s": 0, "headers": {"Authorization": "s3cr3t-value"}}),
    ] {
        let outcome = call(&test, input.clone()).await;
        assert!(matches!(outcome, Outcome::Fail(_) | Outcome::FailClean(_)), "{input}: {outcome:?}");
        assert!(!format!("{outcome:?}").contains("s3cr3t"), "{input}: {outcome:?}");
    }
}

#[tokio::test]
async fn an_expected_status_is_a_success_whatever_it_is() {
    let test = TestContext::new();
    test.http.answer("GET", URL, 404, &[], "");
    test.http.answer("DELETE", URL, 200, &[], "");
    assert_eq!(done(&test, json!({"method": "GET", "url": URL, "expect": [200, 404]})).await["status"], 404);
    let outcome = call(&test, json!({"method": "DELETE", "url": URL, "expect": [204]})).await;
    assert!(matches!(outcome, Outcome::Fail(why) if why.detail == "The server answered 200."));
}

#[tokio::test]
async fn a_get_is_tried_again_and_a_post_only_when_it_surely_did_nothing() {
    let lost = Error::unavailable("http.timeout", "The server did not answer in time.");
    let away = Error::unavailable("http.unreachable", "The server cannot be reached.");
    for (method, error, again) in [
        ("GET", &lost, true),
        ("PUT", &lost, true),
        ("POST", &lost, false),
        ("PATCH", &lost, false),
        ("POST", &away, true),
    ] {
        let test = TestContext::new();
        test.http.fail(method, URL, error.clone());
        let outcome = call(&test, json!({"method": method, "url": URL})).await;
        assert_eq!(matches!(outcome, Outcome::Retry { .. }), again, "{method} {}: {outcome:?}", error.code);
    }
    for (method, status, again) in [
        ("GET", 502, true),
        ("GET", 404, false),
        ("POST", 502, false),
        ("POST", 503, true),
        ("POST", 429, true),
    ] {
        let test = TestContext::new();
        test.http.answer(method, URL, status, &[("retry-after", "9")], "");
        let outcome = call(&test, json!({"method": method, "url": URL})).await;
        let retried = matches!(&outcome, Outcome::Retry { after: Some(after), .. } if after.as_secs() == 9);
        assert_eq!(retried, again, "{method} {status}: {outcome:?}");
    }
}

#[tokio::test]
async fn after_a_crash_a_get_goes_again_and_a_post_is_unknown() {
    let ctx = TestContext::new().context();
    for (method, recovery) in [
        ("GET", Recovery::NeverStarted),
        ("DELETE", Recovery::NeverStarted),
        ("PUT", Recovery::NeverStarted),
        ("POST", Recovery::Unknown),
        ("PATCH", Recovery::Unknown),
    ] {
        assert_eq!(
            Task::recover(&HttpRequest, &ctx, json!({"method": method, "url": URL})).await,
            recovery,
            "{method}"
        );
    }
}

#[tokio::test]
async fn a_body_that_is_no_text_is_left_out() {
    let test = TestContext::new();
    test.http.answer("GET", URL, 200, &[], [0xff, 0xfe, 0x00]);
    let output = done(&test, json!({"method": "GET", "url": URL})).await;
    assert_eq!((&output["body"], &output["size_bytes"]), (&Value::Null, &json!(3)));
}
