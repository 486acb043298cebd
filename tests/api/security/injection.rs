//! SQL, log lines, paths and worse in every field that anyone may fill.

use serde_json::{Value, json};

use super::{PASSWORD, registered, start};
use crate::harness::TestApp;

const TRICKS: [&str; 9] = [
    "' or '1'='1",
    "'; drop table app_user; --",
    "\" or \"\"=\"",
    "ann\u{2028}INFO forged line",
    "x\r\nINFO ready on 0.0.0.0:1 forged-line\r\nSet-Cookie: forged=1",
    "../../../../etc/passwd",
    "${jndi:ldap://127.0.0.1/x}",
    "%00%0d%0aforged-line",
    "{{7*7}}<script>forged-line</script>",
];

/// No answer of the service's own fault, and nothing that was sent as a header or a line of its own.
async fn tried(app: &TestApp, path: &str, body: Value) {
    let answer = app.post(path, "", &body).await;
    let status = answer.status.as_u16();
    assert!((200..500).contains(&status), "{path} {body}: {status} {}", answer.body);
    assert!(
        answer
            .headers
            .get_all("set-cookie")
            .iter()
            .all(|cookie| !cookie.to_str().unwrap().contains("forged"))
    );
    for inner in ["app_user", "select ", "SQLSTATE", "tokio", "/root", "src/"] {
        assert!(!answer.body.to_string().contains(inner), "{path}: {}", answer.body);
    }
}

#[tokio::test]
async fn no_field_is_a_way_in() {
    // Tricks are failures by the dozen, and here they come from one address.
    let app = TestApp::start_with(&[("FLOW_AUTH_FAILURES_PER_ADDRESS", "0")]).await;
    let ann = registered(&app, "ann").await;
    for trick in TRICKS {
        for (path, body) in [
            ("/login", json!({"email": trick, "password": PASSWORD})),
            ("/login", json!({"email": "ann@example.org", "password": trick})),
            ("/login", json!({"username": trick, "password": PASSWORD})),
            ("/login", json!({"username": trick})),
            ("/auth/login", json!({"email": trick, "password": trick})),
            ("/auth/refresh", json!({"refresh_token": trick})),
            ("/auth/logout", json!({"refresh_token": trick})),
            ("/auth/verify", json!({"token": trick})),
            ("/auth/register", json!({"email": trick, "password": PASSWORD})),
            ("/auth/register", json!({"email": "a@b.org", "password": PASSWORD, "name": trick})),
        ] {
            tried(&app, path, body).await;
        }
    }
    // Everything is as it was, and the log has the lines that we wrote and no others.
    assert_eq!(app.get("/me", ann["access_token"].as_str().unwrap()).await.status, 200);
    let log = app.log();
    assert!(!log.contains("forged"), "{log}");
    assert!(!log.contains(PASSWORD), "{log}");
    assert!(!log.contains("ann@example.org"), "{log}");
}

#[tokio::test]
async fn a_request_id_cannot_be_a_line_of_the_log() {
    let app = start().await;
    for id in ["a b", "forged-line;x", &"x".repeat(100)] {
        let answer =
            app.request(reqwest::Method::GET, "/livez").header("X-Request-Id", id).send().await.unwrap();
        assert_ne!(answer.headers()["x-request-id"], id);
    }
    assert!(!app.log().contains("forged-line"));
}

#[tokio::test]
async fn what_does_not_fit_is_refused_by_shape() {
    let app = start().await;
    for body in [
        json!({"username": "a b"}),
        json!({"username": ""}),
        json!({"username": "x".repeat(33)}),
        json!({"username": "\u{430}nn"}),
        json!({"username": ["ann"]}),
        json!({"username": {"$ne": ""}, "password": {"$ne": ""}}),
        json!({"email": "ann@example.org"}),
        json!({"password": PASSWORD}),
        json!({"email": "a@b.org", "password": "x".repeat(72)}),
        json!({"email": "a@b.org", "username": "ann", "password": PASSWORD}),
        json!({"email": "a@b.org", "password": PASSWORD, "role": "admin"}),
        json!({"email": "a\u{0}@b.org", "password": PASSWORD}),
    ] {
        app.post("/login", "", &body).await.refused(422, "body.invalid");
    }
    let huge = json!({"email": "x".repeat(2 << 20), "password": PASSWORD});
    app.post("/login", "", &huge).await.refused(413, "body.too_large");
    let role = json!({"email": "eve@example.org", "password": PASSWORD, "role": "admin"});
    app.post("/auth/register", "", &role).await.refused(422, "body.invalid");
}
