//! The keys that the service made itself, changed by the command line under two replicas.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{SECRET, code, until};
use crate::harness::{DEMO_PASSWORD, TestApp};

/// The key that a token names.
fn kid(token: &str) -> String {
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    serde_json::from_slice::<Value>(&header).unwrap()["kid"].as_str().unwrap().to_owned()
}

async fn takes(app: &TestApp, token: &str) -> bool {
    let answer = app.get("/auth/verify", token).await;
    match answer.status.as_u16() {
        200 => true,
        _ => {
            assert_eq!(code(&answer), "auth.token_invalid");
            false
        }
    }
}

async fn in_the_database(app: &TestApp, sql: &str) {
    assert_eq!(app.db.pool.client().await.unwrap().execute(sql, &[]).await.unwrap(), 1, "{sql}");
}

#[tokio::test]
async fn a_new_key_signs_while_the_old_one_s_tokens_are_taken_until_they_end() {
    let one = TestApp::start().await;
    let two = one.beside(&[]).await;
    let old = one.login().await;
    assert!(takes(&one, &old).await && takes(&two, &old).await);

    let keys = one.command(&["key", "rotate"]);
    let [new_line, old_line] = keys.lines().collect::<Vec<_>>()[..] else { panic!("two keys: {keys}") };
    let new_kid = new_line.split(' ').next().unwrap().to_owned();
    assert!(new_line.contains("signs from 20") && !new_line.contains("ends"), "{keys}");
    assert!(old_line.starts_with(&format!("{} signs, ends 20", kid(&old))), "{keys}");
    assert_eq!(two.command(&["key", "list"]), keys);
    // Not yet: a replica may not know it.
    assert_eq!(kid(&two.login().await), kid(&old));

    in_the_database(&one, "update token_key set signs_from = now() where ends_at is null").await;
    for app in [&one, &two] {
        until("the new key signs", async || kid(&app.login().await) == new_kid).await;
    }
    let new = one.login().await;
    for app in [&one, &two] {
        assert!(takes(app, &old).await && takes(app, &new).await);
    }
    let keys = one.command(&["key", "list"]);
    assert!(keys.starts_with(&format!("{new_kid} signs\n{} is taken, ends 20", kid(&old))), "{keys}");

    in_the_database(&one, "update token_key set ends_at = now() where ends_at is not null").await;
    for app in [&one, &two] {
        until("the old key's tokens end", async || !takes(app, &old).await).await;
        assert!(takes(app, &new).await);
    }
    assert_eq!(one.command(&["key", "list"]), format!("{new_kid} signs\n"));
}

#[tokio::test]
async fn a_leaked_key_ends_at_once_and_logins_go_on() {
    let mut app = TestApp::start().await;
    let body = json!({"email": "user3784mail@gmail.com", "password": DEMO_PASSWORD});
    let login = app.post("/auth/login", "", &body).await.body;
    let token = login["access_token"].as_str().unwrap();
    assert!(takes(&app, token).await);
    let keys = app.command(&["key", "rotate", "--leaked"]);
    assert!(keys.lines().count() == 1 && !keys.contains(&kid(token)), "{keys}");
    until("its tokens end", async || !takes(&app, token).await).await;
    let refresh = json!({"refresh_token": login["refresh_token"]});
    let renewed = app.post("/auth/refresh", "", &refresh).await.body;
    let renewed = renewed["access_token"].as_str().unwrap();
    assert!(keys.starts_with(&kid(renewed)) && takes(&app, renewed).await);
    app.kill_and_restart().await;
    assert!(takes(&app, renewed).await && !takes(&app, token).await);
}

#[tokio::test]
async fn a_configured_key_is_changed_where_it_is_configured() {
    let app = TestApp::start_with(&[("FLOW_AUTH_SECRET", SECRET)]).await;
    for arguments in [["key", "rotate"], ["key", "list"]] {
        let done = app.command_with(&arguments, "");
        let sentence = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(1), "{sentence}");
        assert!(sentence.contains("auth.secret"), "{sentence}");
    }
}
