//! `POST /users`.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::browser::{machine_tokens, tokens_of};
use super::{app_of, start};
use crate::harness::{Answer, TestApp};

const PATIENCE: Duration = Duration::from_secs(60);

async fn post(app: &TestApp, token: &str) -> Answer {
    app.post("/users", token, &json!({})).await
}

/// Until the consumer has stored the user.
async fn until_stored(app: &TestApp, token: &str) -> Answer {
    let started = Instant::now();
    loop {
        let answer = post(app, token).await;
        if answer.status == 200 {
            return answer;
        }
        assert_eq!(answer.status, 201, "{}", answer.body);
        assert!(started.elapsed() < PATIENCE, "nobody stores the user");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn access(tokens: &Value) -> &str {
    tokens["access_token"].as_str().unwrap_or_else(|| panic!("{tokens}"))
}

#[tokio::test]
async fn a_token_creates_its_user_once() {
    let (provider, app) = start().await;
    let tokens = tokens_of(&provider, "svc", "ada").await;
    let token = access(&tokens);
    let (one, two) = tokio::join!(post(&app, token), post(&app, token));
    assert!([200, 201].contains(&one.status.as_u16()), "{}", one.body);
    assert_eq!(one.body, two.body);
    assert_eq!((&one.body["email"], &one.body["role"]), (&json!("ada@example.test"), &json!("learner")));
    assert_eq!(until_stored(&app, token).await.body, one.body);
    let client = app.db.pool.client().await.unwrap();
    let stored: i64 = client.query_one("select count(*) from identity", &[]).await.unwrap().get(0);
    assert_eq!(stored, 1);

    // No run holds the token, whoever looks.
    let operator = app.login().await;
    let runs = app.get("/flow-manager/runs?flow=user-create", &operator).await.body;
    for run in runs["data"].as_array().unwrap() {
        let whole = app.get(run["links"]["self"].as_str().unwrap(), &operator).await.body;
        assert!(!whole.to_string().contains(token));
    }
    assert!(!app.log().contains(token) && !app.log().contains("ada@example.test"));
}

#[tokio::test]
async fn tokens_that_are_not_good_or_not_for_us_are_refused() {
    let (provider, app) = start().await;
    let (others, machine) = (tokens_of(&provider, "other", "ada").await, machine_tokens(&provider).await);
    let ours = app.login().await;
    for token in ["made-up", "' or 1=1 --", &"x".repeat(4000), &ours, access(&others), access(&machine)] {
        post(&app, token).await.refused(401, "oauth.token_invalid");
    }
    app.post("/users", "", &json!({})).await.refused(401, "oauth.token_missing");
    post(&app, &"x".repeat(9000)).await.refused(401, "auth.token_invalid");
    app.post("/users", "token", &json!({"admin": true})).await.refused(422, "body.invalid");
    let client = app.db.pool.client().await.unwrap();
    let stored: i64 = client.query_one("select count(*) from identity", &[]).await.unwrap().get(0);
    assert_eq!(stored, 0);
}

#[tokio::test]
async fn an_id_token_may_say_for_whom_the_access_token_is() {
    let provider = super::Provider::start().await;
    let app = app_of(&provider.issuer, &[("FLOW_OIDC_TOKEN_CHECK", "id_token")]).await;
    let ada = tokens_of(&provider, "svc", "ada").await;
    let bob = tokens_of(&provider, "svc", "bob").await;
    let other = tokens_of(&provider, "other", "ada").await;
    let call = async |access: &str, id: &Value| app.post("/users", access, &json!({"id_token": id})).await;
    let made = call(access(&ada), &ada["id_token"]).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let header = app.request(reqwest::Method::POST, "/users").bearer_auth(access(&ada));
    let header = header.header("X-Id-Token", ada["id_token"].as_str().unwrap()).json(&json!({}));
    assert_eq!(Answer::to(header).await.body, made.body);
    post(&app, access(&ada)).await.refused(401, "oauth.id_token_missing");
    // Another's id token, one for another client, one that was changed, none at all.
    let mut changed = ada["id_token"].as_str().unwrap().to_owned();
    changed.replace_range(changed.len() - 6..changed.len() - 2, "AAAA");
    for bad in [&bob["id_token"], &other["id_token"], &json!(changed), &json!("a.b.c"), &json!("")] {
        call(access(&ada), bad).await.refused(401, "oauth.token_invalid");
    }
    call("made-up", &ada["id_token"]).await.refused(401, "oauth.token_invalid");
}

#[tokio::test]
async fn a_provider_that_is_away_is_a_503() {
    let (provider, app) = start().await;
    let tokens = tokens_of(&provider, "svc", "ada").await;
    provider.stop().await;
    post(&app, access(&tokens)).await.refused(503, "oidc.unavailable");
}
