//! Bodies, methods, paths, queries: what does not fit, and how it is said.

use flow_domain::users::Role;
use rocket::http::{ContentType, Header, Method};
use serde_json::json;

use super::{Service, log, seen, with};
use crate::driver::http::body::MAX_BODY_BYTES;

#[rocket::async_test]
async fn a_body_that_is_not_json_is_told_where_it_breaks() {
    let service = Service::start().await;
    let token = service.token(Role::Operator);
    let answer = service.post("/t/things", Some(&token), "{\"name\": \"a\",\n \"sizes\": [1,}").await;
    answer.is_problem(400, "body.not_json");
    assert!(answer.body["detail"].as_str().unwrap().contains("line 2, column 14"), "{}", answer.body);
    service.post("/t/things", Some(&token), "").await.is_problem(400, "body.missing");
    service.post("/t/things", Some(&token), b"{\"name\": \"\xff\"}").await.is_problem(400, "body.not_json");
}

#[rocket::async_test]
async fn a_body_that_does_not_fit_is_told_all_its_faults() {
    let service = Service::start().await;
    let token = service.token(Role::Operator);
    let body = json!({"sizes": [1, "two", -3], "colour": "red", "weight": 1}).to_string();
    let answer = service.post("/t/things", Some(&token), body).await;
    answer.is_problem(422, "body.invalid");
    let mut pointers = answer.pointers();
    pointers.sort();
    assert_eq!(pointers, ["/colour", "/name", "/sizes/1", "/sizes/2", "/weight"]);

    let answer = service.post("/t/things", Some(&token), r#"{"name": "a\u0000b"}"#).await;
    answer.is_problem(422, "body.invalid");
    assert_eq!(answer.pointers(), ["/name"]);
}

#[rocket::async_test]
async fn a_body_is_at_most_one_mebibyte() {
    let service = Service::start().await;
    let token = service.token(Role::Operator);
    let frame = r#"{"name": ""}"#.len();
    for (size, status) in [(MAX_BODY_BYTES, 201), (MAX_BODY_BYTES + 1, 413), (MAX_BODY_BYTES * 10, 413)] {
        let body = json!({"name": "x".repeat(size - frame + 1)}).to_string();
        assert_eq!(body.len(), size);
        let answer = service.post("/t/things", Some(&token), body).await;
        assert_eq!(answer.status, status, "{size}");
        if status == 413 {
            answer.is_problem(413, "body.too_large");
        }
    }
}

#[rocket::async_test]
async fn another_media_type_is_refused_and_json_by_any_name_is_not() {
    let service = Service::start().await;
    let token = service.token(Role::Operator);
    let post = async |media: Option<&str>| {
        let request = service.client.post("/t/things").body(r#"{"name": "a"}"#);
        let request = match media {
            Some(media) => request.header(Header::new("Content-Type", media.to_owned())),
            None => request,
        };
        seen(with(request, Some(&token)).dispatch().await).await
    };
    for media in [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("nonsense")] {
        post(media).await.is_problem(415, "body.not_json_type");
    }
    for media in
        ["application/json", "application/json; charset=utf-8", "Application/JSON", "application/ld+json"]
    {
        assert_eq!(post(Some(media)).await.status, 201, "{media}");
    }
}

#[rocket::async_test]
async fn a_body_may_be_left_out_where_the_handler_says_so() {
    let service = Service::start().await;
    let token = service.token(Role::Learner);
    let bare = service.client.post("/t/things/1/change");
    assert_eq!(seen(with(bare, Some(&token)).dispatch().await).await.status, 202);
    let typed = service.post("/t/things/1/change", Some(&token), r#"{"name": "a"}"#).await;
    assert_eq!((typed.status, typed.body), (202, json!("a")));
    service.post("/t/things/1/change", Some(&token), "{}").await.is_problem(422, "body.invalid");
}

#[rocket::async_test]
async fn a_wrong_method_names_the_right_ones() {
    let service = Service::start().await;
    for (method, path, allow) in [
        (Method::Get, "/login", "POST"),
        (Method::Head, "/login", "POST"),
        (Method::Post, "/me", "GET, HEAD"),
        (Method::Delete, "/t/things", "GET, HEAD, POST"),
        (Method::Put, "/t/things/7", "GET, HEAD"),
        (Method::Options, "/me", "GET, HEAD"),
        // As Rocket routes them.
        (Method::Put, "/%6de/", "GET, HEAD"),
    ] {
        let answer = seen(service.client.req(method, path).dispatch().await).await;
        assert_eq!((answer.status, answer.header("allow")), (405, allow), "{method} {path}");
        if method != Method::Head {
            answer.is_problem(405, "method.not_allowed");
        }
    }
}

#[rocket::async_test]
async fn nothing_is_at_an_unknown_path_or_behind_a_nonsense_id() {
    let service = Service::start().await;
    let token = service.token(Role::Learner);
    for path in ["/nothing", "/me/more", "/.%2e/etc", "/login%2f", "/t/things/1/2/3"] {
        service.get(path, Some(&token)).await.is_problem(404, "path.unknown");
    }
    for id in ["1", "%00", "..", "00000000000000000000000000000000", "'%20or%201=1--"] {
        let answer = service.get(&format!("/t/things/{id}"), Some(&token)).await;
        assert_eq!(answer.status, 404, "{id}");
    }
}

#[rocket::async_test]
async fn a_bad_query_parameter_is_named() {
    let service = Service::start().await;
    let token = service.token(Role::Learner);
    let good = service.get("/t/things?limit=5&name=a%26b+c", Some(&token)).await;
    assert_eq!((good.status, good.body), (200, json!({"limit": 5, "name": "a&b c"})));
    for query in
        ["limit=0", "limit=101", "limit=x", "limit=", "limit", "limt=5", "limit=5&limit=6", "na%6de=a&name=b"]
    {
        service.get(&format!("/t/things?{query}"), Some(&token)).await.is_problem(400, "query.invalid");
    }
}

#[rocket::async_test]
async fn our_failures_say_nothing_of_their_cause_and_log_it_once() {
    let service = Service::start().await;
    let id = "failing-on-purpose";
    let request = service.client.get("/t/fail").header(Header::new("X-Request-Id", id));
    let answer = seen(request.dispatch().await).await;
    answer.is_problem(500, "internal");
    assert_eq!(answer.header("x-request-id"), id);
    assert!(!answer.body.to_string().contains("flow_run"));
    let lines = log::lines_with(id);
    assert_eq!(lines.iter().filter(|line| line.contains("relation flow_run")).count(), 1, "{lines:?}");
    assert_eq!(lines.iter().filter(|line| line.contains("GET /t/fail 500")).count(), 1, "{lines:?}");

    service.get("/t/panics", None).await.is_problem(500, "internal");
}

#[rocket::async_test]
async fn every_answer_has_an_id_careful_headers_and_one_line_without_its_query() {
    let service = Service::start().await;
    let token = service.token(Role::Learner);
    let id = "one-line-a-request";
    let request =
        service.client.get("/t/things?name=nobodys-business").header(Header::new("X-Request-Id", id));
    let answer = seen(with(request, Some(&token)).dispatch().await).await;
    assert_eq!((answer.status, answer.header("x-request-id")), (200, id));
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert!(answer.header("content-security-policy").contains("default-src 'none'"));
    assert_eq!(answer.header("server"), "");
    let lines = log::lines_with(id);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("GET /t/things 200") && lines[0].contains(" user="), "{lines:?}");
    assert!(!lines[0].contains("nobodys-business"));
    assert_eq!(log::lines_with(&token), Vec::<String>::new());

    for bad in ["a b", "x\u{e9}", &"x".repeat(65)] {
        let request = service.client.get("/livez").header(Header::new("X-Request-Id", bad.to_owned()));
        let answer = seen(request.dispatch().await).await;
        assert_ne!(answer.header("x-request-id"), bad);
        assert!(!answer.header("x-request-id").is_empty());
    }
    let untyped = service.client.post("/login").header(ContentType::Plain);
    assert!(!seen(untyped.dispatch().await).await.header("x-request-id").is_empty());
}

#[rocket::async_test]
async fn what_was_preferred_is_told() {
    let service = Service::start().await;
    let token = service.token(Role::Learner);
    let request = service.client.get("/t/things").header(Header::new("Prefer", "respond-async"));
    let request = request.header(Header::new("Prefer", "wait=5"));
    let answer = seen(with(request, Some(&token)).dispatch().await).await;
    assert_eq!(answer.header("preference-applied"), "respond-async, wait=5");
}
