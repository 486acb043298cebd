//! What is ended on one replica is ended on all, and soon.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{PASSWORD, access, code, id, registered, start, until, with_role};
use crate::harness::TestApp;

/// Another service on the same database.
async fn replica(app: &TestApp) -> TestApp {
    TestApp::start_with(&[("FLOW_AUTH_SECRET", super::SECRET), ("FLOW_DATABASE_URL", &app.db.url())]).await
}

/// Waits until `there` refuses the token; how long that took is printed, and bounded far above the promised two
/// seconds, because the machine may be busy with other things.
async fn ended(there: &TestApp, what: &str, token: &str) {
    let begun = Instant::now();
    until(what, async || code(&there.get("/auth/verify", token).await) == "auth.token_revoked").await;
    println!("{what}: {:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(30), "{what}");
}

#[tokio::test]
async fn what_ends_a_token_here_ends_it_there() {
    let here = start().await;
    let there = replica(&here).await;
    let admin = with_role(&here, "ada", "admin").await;
    let bob = registered(&here, "bob").await;
    let login = async || {
        let body = json!({"email": "bob@example.org", "password": PASSWORD});
        there.post("/auth/login", "", &body).await.body
    };

    let token = login().await;
    assert_eq!(there.get("/auth/verify", access(&token)).await.status, 200);
    here.post("/auth/logout", access(&token), &json!({})).await;
    ended(&there, "a logout", access(&token)).await;

    let token = login().await;
    assert_eq!(there.get("/auth/verify", access(&token)).await.status, 200);
    let role = format!("/users/{}/role", id(&bob));
    assert_eq!(here.post(&role, access(&admin), &json!({"role": "operator"})).await.status, 200);
    ended(&there, "another role", access(&token)).await;

    let token = login().await;
    assert_eq!(there.get("/auth/verify", access(&token)).await.headers["x-user-role"], "operator");
    let disable = format!("/users/{}/disable", id(&bob));
    assert_eq!(here.post(&disable, access(&admin), &Value::Null).await.status, 200);
    ended(&there, "a closed account", access(&token)).await;

    here.command(&["user", "enable", "bob@example.org"]);
    let token = login().await;
    here.command(&["user", "disable", "bob@example.org"]);
    ended(&there, "a closed account, by the command line", access(&token)).await;
    ended(&here, "and on the first replica", access(&token)).await;
}

/// A stream lives as long as its token.
#[tokio::test]
async fn a_stream_ends_with_its_token() {
    let here = start().await;
    let there = replica(&here).await;
    let bob = registered(&here, "bob").await;
    let request = there.request(reqwest::Method::GET, "/room/lobby?timeout=3600").bearer_auth(access(&bob));
    let stream = request.send().await.unwrap();
    assert_eq!(stream.status(), 200);
    here.post("/auth/logout", access(&bob), &json!({})).await;
    let read = tokio::time::timeout(Duration::from_secs(60), stream.text()).await;
    assert!(read.expect("the stream outlives its token").unwrap().trim().is_empty());
}

/// A replica that starts later knows what was revoked before.
#[tokio::test]
async fn a_new_replica_knows_what_was_ended_before_it_came() {
    let mut here = start().await;
    let bob = registered(&here, "bob").await;
    here.post("/auth/logout", access(&bob), &json!({})).await;
    here.kill_and_restart().await;
    here.get("/me", access(&bob)).await.refused(401, "auth.token_revoked");
}

#[tokio::test]
async fn keys_change_without_a_gap() {
    let mut app = start().await;
    let old = registered(&app, "ann").await;
    let new = "the key that comes after it, just as long";
    app.set("FLOW_AUTH_SECRET", new);
    app.set("FLOW_AUTH_SECOND_SECRET", super::SECRET);
    app.kill_and_restart().await;
    assert_eq!(app.get("/me", access(&old)).await.status, 200);
    let body = json!({"email": "ann@example.org", "password": PASSWORD});
    let fresh = app.post("/auth/login", "", &body).await.body;
    app.set("FLOW_AUTH_SECOND_SECRET", "");
    app.kill_and_restart().await;
    app.get("/me", access(&old)).await.refused(401, "auth.token_invalid");
    assert_eq!(app.get("/me", access(&fresh)).await.status, 200);
}
