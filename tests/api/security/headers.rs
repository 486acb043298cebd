//! What every answer carries, whom pages elsewhere may call, and who the client is.

use reqwest::Method;
use serde_json::json;

use super::{PASSWORD, registered, start};
use crate::harness::{Answer, TestApp};

#[tokio::test]
async fn every_answer_keeps_browsers_careful() {
    let app = start().await;
    for (method, path) in [
        (Method::GET, "/livez"),
        (Method::GET, "/openapi.json"),
        (Method::GET, "/nothing/here"),
        (Method::GET, "/me"),
        (Method::DELETE, "/login"),
        (Method::POST, "/token"),
        (Method::OPTIONS, "/login"),
    ] {
        let answer = app.request(method, path).header("Origin", "https://evil.example").send().await.unwrap();
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap());
        assert_eq!(header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(header("x-frame-options"), Some("DENY"), "{path}");
        assert_eq!(header("referrer-policy"), Some("no-referrer"), "{path}");
        assert!(header("content-security-policy").unwrap().contains("frame-ancestors 'none'"), "{path}");
        for absent in ["access-control-allow-origin", "strict-transport-security", "server", "x-powered-by"] {
            assert_eq!(header(absent), None, "{path} {absent}");
        }
    }
}

#[tokio::test]
async fn pages_elsewhere_call_only_if_they_are_named() {
    let app = TestApp::start_with(&[("FLOW_SERVER_CORS_ORIGINS", "https://app.example.org")]).await;
    let ask = async |origin: &str, method: Method| {
        let request = app.request(method, "/login").header("Origin", origin);
        request.header("Access-Control-Request-Method", "POST").send().await.unwrap()
    };
    let named = ask("https://app.example.org", Method::OPTIONS).await;
    assert_eq!(named.status(), 204);
    assert_eq!(named.headers()["access-control-allow-origin"], "https://app.example.org");
    assert!(named.headers()["access-control-allow-headers"].to_str().unwrap().contains("Authorization"));
    assert!(named.headers().get("access-control-allow-credentials").is_none());
    assert_eq!(named.headers()["vary"], "Origin");
    assert!(named.text().await.unwrap().is_empty());
    let called = ask("https://app.example.org", Method::POST).await;
    assert_eq!(
        (called.status().as_u16(), &called.headers()["access-control-allow-origin"]),
        (200, &"https://app.example.org".parse().unwrap())
    );
    for origin in ["https://app.example.org.evil.example", "http://app.example.org", "null", "*", ""] {
        let other = ask(origin, Method::OPTIONS).await;
        assert_eq!(other.status(), 405, "{origin}");
        assert!(other.headers().get("access-control-allow-origin").is_none(), "{origin}");
    }
}

#[tokio::test]
async fn behind_https_cookies_are_secure_and_browsers_stay() {
    let app = TestApp::start_with(&[("FLOW_SERVER_TRUSTED_PROXIES", "127.0.0.1")]).await;
    registered(&app, "ann").await;
    let body = json!({"email": "ann@example.org", "password": PASSWORD});
    let login = async |scheme: &str| {
        let request = app.request(Method::POST, "/auth/login").header("X-Forwarded-Proto", scheme);
        request.json(&body).send().await.unwrap()
    };
    let secure = login("https").await;
    assert!(secure.headers()["set-cookie"].to_str().unwrap().ends_with("; Secure"));
    assert!(secure.headers().contains_key("strict-transport-security"));
    let plain = login("http").await;
    assert!(!plain.headers()["set-cookie"].to_str().unwrap().contains("Secure"));
    assert!(!plain.headers().contains_key("strict-transport-security"));
}

#[tokio::test]
async fn the_address_in_a_header_counts_only_from_a_trusted_proxy() {
    let tried = async |app: &TestApp, address: &str| {
        let request = app.request(Method::POST, "/login").header("X-Forwarded-For", address);
        Answer::to(request.json(&json!({"username": "nobody.in.particular", "password": "wrong"}))).await
    };
    let limits = [
        ("FLOW_AUTH_OPEN_SIGNUP", "false"),
        ("FLOW_AUTH_FAILURES_PER_ACCOUNT", "0"),
        ("FLOW_AUTH_FAILURES_PER_ADDRESS", "1"),
    ];
    let bare = TestApp::start_with(&limits).await;
    let mut statuses = Vec::new();
    for host in 1..=4 {
        statuses.push(tried(&bare, &format!("198.51.100.{host}")).await.status.as_u16());
    }
    assert_eq!(statuses, [401, 401, 429, 429]);

    let proxied = [&limits[..], &[("FLOW_SERVER_TRUSTED_PROXIES", "127.0.0.0/8")]].concat();
    let proxied = TestApp::start_with(&proxied).await;
    for host in 1..=4 {
        assert_eq!(tried(&proxied, &format!("198.51.100.{host}")).await.status, 401);
    }
    // What the client wrote itself stands before what the proxy added.
    let mut statuses = Vec::new();
    for host in 1..=4 {
        statuses.push(tried(&proxied, &format!("203.0.113.{host}, 198.51.100.9")).await.status.as_u16());
    }
    assert_eq!(statuses, [401, 401, 429, 429]);
}

/// Rocket lets a form say that its POST is another method; here it may not.
#[tokio::test]
async fn a_form_cannot_change_its_method() {
    let app = start().await;
    for (path, allow) in [("/livez", "GET, HEAD"), ("/me", "GET, HEAD")] {
        let form =
            app.request(Method::POST, path).header("Content-Type", "application/x-www-form-urlencoded");
        let answer = Answer::to(form.body("_method=get&x=1")).await;
        answer.refused(405, "method.not_allowed");
        assert_eq!(answer.headers["allow"], allow);
    }
}
