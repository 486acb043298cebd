//! The API's pages: `/openapi.json` and `/docs`.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::flows::start;
use crate::harness::{Answer, TestApp};

#[tokio::test]
async fn the_page_for_people_loads_nothing_from_elsewhere() {
    let app = TestApp::start().await;
    let page = app.get("/docs", "").await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
    let html = page.body.as_str().unwrap();
    let loaded: Vec<&str> = html.split('"').filter(|text| text.starts_with('/')).collect();
    assert_eq!(loaded, ["/docs/swagger-ui.css", "/docs/swagger-ui.js", "/docs/start.js"]);
    for (path, media) in loaded.iter().zip(["text/css", "text/javascript", "text/javascript"]) {
        let file = app.get(path, "").await;
        assert_eq!(file.status, StatusCode::OK);
        assert!(file.headers["content-type"].to_str().unwrap().starts_with(media), "{path}");
    }
    app.get("/docs/nothing.js", "").await.refused(404, "path.unknown");
}

/// The ids in these paths are of things that are there.
async fn send(app: &TestApp, token: &str, method: &str, path: &str, body: &Value) -> Answer {
    let method = method.to_uppercase().parse().unwrap();
    Answer::to(app.request(method, path).bearer_auth(token).json(body)).await
}

#[tokio::test]
async fn every_example_works_as_it_stands() {
    let app = TestApp::start().await;
    app.command(&["user", "add", "--username", "root", "--role", "admin"]);
    let made = app.command(&["user", "add", "--email", "boss@example.org", "--role", "admin"]);
    let password = made.lines().find_map(|line| line.strip_prefix("password ")).unwrap();
    let who = json!({"email": "boss@example.org", "password": password});
    let token = app.post("/login", "", &who).await.body["token"].as_str().unwrap().to_owned();
    let other = app.command(&["user", "add", "--username", "zoe"]);
    let user = other.split(' ').next().unwrap();
    let run =
        start(&app, &token, &json!({"flow": "hello"}), &[]).await.body["id"].as_str().unwrap().to_owned();

    let page = app.get("/openapi.json", "").await.body;
    let mut sent = 0;
    for (path, calls) in page["paths"].as_object().unwrap() {
        for (method, call) in calls.as_object().unwrap() {
            let example = &call["requestBody"]["content"]["application/json"]["example"];
            if example.is_null() {
                // Only what cannot stand by itself, or is nothing, has none.
                let bare = [
                    "/users",
                    "/auth/refresh",
                    "/auth/logout",
                    "/auth/verify",
                    "/labs/{lab}/launch",
                    "/labs/{lab}/finish",
                    "/labs/{lab}/reset",
                    "/sessions/{id}/extend",
                    "/sessions/{id}/steps/{n}/check",
                    "/orphans/{id}/delete",
                ];
                assert!(
                    call.get("requestBody").is_none() || bare.contains(&path.as_str()),
                    "{method} {path}"
                );
                continue;
            }
            let id = if path.starts_with("/users/") { user } else { &run };
            let name = if path.starts_with("/room/") { "lobby" } else { "hello" };
            let here = path.replace("{id}", id).replace("{name}", name).replace("{lab}", "hello-terraform");
            let answer = send(&app, &token, method, &here, example).await;
            // Nothing is launched here, so nothing can be submitted.
            if path.ends_with("/submit") {
                answer.refused(404, "session.none");
            } else {
                assert!(answer.status.is_success(), "{method} {path}: {}", answer.body);
            }
            sent += 1;
        }
    }
    assert!(sent >= 8, "{sent}");
}

#[tokio::test]
async fn every_refusal_on_the_page_has_its_codes() {
    let app = TestApp::start().await;
    let page = app.get("/openapi.json", "").await.body;
    for (path, calls) in page["paths"].as_object().unwrap() {
        for (method, call) in calls.as_object().unwrap() {
            assert!(call["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{method} {path}");
            for (status, response) in call["responses"].as_object().unwrap() {
                let refusal = &response["content"]["application/problem+json"]["schema"];
                if status != "default" && !refusal.is_null() {
                    let codes = refusal["properties"]["code"]["enum"].as_array();
                    assert!(codes.is_some_and(|codes| !codes.is_empty()), "{method} {path} {status}");
                }
            }
        }
    }
}
