use flow_domain::Error;
use flow_domain::flows::{Outcome, Task};
use flow_domain::testing::TestContext;
use serde_json::json;

use super::*;

const URL: &str = "https://data.example/plants";

async fn fetch(test: &TestContext, input: Value) -> Outcome {
    Task::run(&FetchData, &test.context(), input).await
}

/// A context whose network gives one answer.
fn answering(status: u16, headers: &[(&str, &str)], body: &str) -> TestContext {
    let test = TestContext::new();
    test.http.answer("GET", URL, status, headers, body);
    test
}

async fn refusal(test: &TestContext, input: Value) -> (String, String) {
    match fetch(test, input).await {
        Outcome::FailClean(why) | Outcome::Fail(why) => (why.code, why.detail),
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn inline_rows_come_out_as_they_are() {
    let outcome = fetch(&TestContext::new(), json!({"data": [{"a": 1}, {"a": "2"}], "url": null})).await;
    assert_eq!(outcome, Outcome::Done(json!({"rows": [{"a": 1}, {"a": "2"}], "count": 2})));
}

#[tokio::test]
async fn json_is_read_below_its_pointer() {
    let test = answering(
        200,
        &[("content-type", "application/json; charset=utf-8")],
        r#"{"x": {"rows": [{"a": 1}]}}"#,
    );
    let outcome = fetch(&test, json!({"url": URL, "pointer": "/x/rows"})).await;
    assert_eq!(outcome, Outcome::Done(json!({"rows": [{"a": 1}], "count": 1})));
    assert_eq!(refusal(&test, json!({"url": URL, "pointer": "/y"})).await.0, "fetch.pointer_unknown");
    assert_eq!(refusal(&test, json!({"url": URL})).await.0, "fetch.not_rows");
}

#[tokio::test]
async fn csv_is_read_with_its_column_names() {
    let body = "\u{feff}name , mw\r\n\"Palo Verde, AZ\",3937\r\nHoover,2080\r\n";
    let test = answering(200, &[("content-type", "text/csv")], body);
    let rows = json!([{"name": "Palo Verde, AZ", "mw": "3937"}, {"name": "Hoover", "mw": "2080"}]);
    assert_eq!(fetch(&test, json!({"url": URL})).await, Outcome::Done(json!({"rows": rows, "count": 2})));
}

#[tokio::test]
async fn the_ending_of_the_url_says_the_format_when_the_content_type_does_not() {
    let test = TestContext::new();
    test.http.answer("GET", "http://h/a.csv?x=1", 200, &[("content-type", "text/plain")], "a\n1\n");
    let outcome = fetch(&test, json!({"url": "http://h/a.csv?x=1"})).await;
    assert_eq!(outcome, Outcome::Done(json!({"rows": [{"a": "1"}], "count": 1})));
    let test = answering(200, &[("content-type", "text/html")], "<html>");
    assert_eq!(refusal(&test, json!({"url": URL})).await.0, "fetch.format_unknown");
}

#[tokio::test]
async fn broken_csv_names_the_line_and_never_quotes_it() {
    for (body, detail) in [
        ("a,b\n1,2\nsecret\n", "Line 3 has 1 values for 2 columns."),
        ("a,a\n1,2\n", "Two columns are named \"a\"."),
        ("a,\n1,2\n", "Column 2 has no name."),
    ] {
        let test = answering(200, &[], body);
        let refused = refusal(&test, json!({"url": URL, "format": "csv"})).await;
        assert_eq!(refused, ("fetch.not_csv".to_owned(), detail.to_owned()));
    }
    let test = answering(200, &[], "{\"a\": secret}");
    let refused = refusal(&test, json!({"url": URL, "format": "json"})).await;
    assert_eq!(
        refused,
        ("fetch.not_json".to_owned(), "The answer is not JSON: line 1, column 7.".to_owned())
    );
}

#[tokio::test]
async fn a_server_in_trouble_is_asked_again_when_it_says() {
    for (status, header, after) in [
        (503, &[("Retry-After", "7")][..], Some(Duration::from_secs(7))),
        (429, &[("retry-after", "1")], Some(Duration::from_secs(1))),
        (500, &[], None),
    ] {
        let outcome = fetch(&answering(status, header, ""), json!({"url": URL})).await;
        assert!(
            matches!(&outcome, Outcome::Retry { after: pause, .. } if *pause == after),
            "{status}: {outcome:?}"
        );
    }
    let test = TestContext::new();
    test.http.fail("GET", URL, Error::unavailable("http.unreachable", "The server cannot be reached."));
    assert!(matches!(fetch(&test, json!({"url": URL})).await, Outcome::Retry { .. }));
}

#[tokio::test]
async fn a_server_that_refuses_is_not_asked_again() {
    for status in [301, 400, 401, 404, 410] {
        let refused = refusal(&answering(status, &[], ""), json!({"url": URL})).await;
        assert_eq!(refused, ("fetch.refused".to_owned(), format!("The server answered {status}.")));
    }
    assert_eq!(
        refusal(&TestContext::new(), json!({"url": "http://elsewhere/"})).await.0,
        "http.host_forbidden"
    );
}

#[tokio::test]
async fn more_than_a_mebibyte_of_rows_is_refused_and_a_small_part_of_much_is_not() {
    let long = "x".repeat(MAX_OUTPUT_BYTES);
    let test = answering(200, &[], &format!(r#"{{"much": [{{"a": "{long}"}}], "rows": []}}"#));
    assert_eq!(
        refusal(&test, json!({"url": URL, "format": "json", "pointer": "/much"})).await.0,
        "fetch.too_large"
    );
    let outcome = fetch(&test, json!({"url": URL, "format": "json", "pointer": "/rows"})).await;
    assert_eq!(outcome, Outcome::Done(json!({"rows": [], "count": 0})));
}

#[tokio::test]
async fn a_cancelled_step_gives_the_call_up() {
    struct Never;
    #[async_trait]
    impl flow_domain::ports::HttpClient for Never {
        async fn send(&self, _request: HttpRequest) -> flow_domain::Result<HttpResponse> {
            std::future::pending().await
        }
    }
    let mut test = TestContext::new();
    test.ports.http = std::sync::Arc::new(Never);
    test.cancel.cancel();
    assert_eq!(refusal(&test, json!({"url": URL})).await.0, "http.cancelled");
}

#[tokio::test]
async fn inputs_that_say_two_things_or_none_are_refused() {
    for input in [
        json!({}),
        json!({"data": [], "url": URL}),
        json!({"data": [], "pointer": "/a"}),
        json!({"data": [], "format": "csv"}),
        json!({"data": [1]}),
        json!({"url": URL, "format": "xml"}),
    ] {
        assert_eq!(refusal(&TestContext::new(), input.clone()).await.0, "task.input_invalid", "{input}");
    }
}
