use std::sync::Arc;
use std::time::{Duration, Instant};

use flow_domain::openid::{Identities, Subject};
use flow_manager::driven::postgres::PgIdentities;
use flow_manager::driven::sealing::{Keyring, StateKey};
use serde_json::{Value, json};

use super::browser::COOKIE_NAME;
use super::{Browser, REDIRECT, app_of, start};
use crate::harness::TestApp;

const PATIENCE: Duration = Duration::from_secs(60);

/// `/me`, by the refresh cookie that the browser has.
pub async fn me(app: &TestApp, browser: &Browser) -> Value {
    let refresh = app.request(reqwest::Method::POST, "/auth/refresh");
    let cookie = format!("flow_refresh={}", browser.cookie("flow_refresh").expect("a refresh cookie"));
    let answer: Value = refresh.header("Cookie", cookie).send().await.unwrap().json().await.unwrap();
    let token = answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
    app.get("/me", &token).await.body
}

#[tokio::test]
async fn the_first_sign_in_makes_the_account_and_later_ones_find_it() {
    let (provider, app) = start().await;
    let mut browser = Browser::new();
    let url = browser.begin(&app).await;
    for wanted in ["code_challenge_method=S256", "response_type=code", "scope=openid", "nonce=", "state="] {
        assert!(url.contains(wanted), "{wanted} in {url}");
    }
    let returned = browser.at_provider(&provider, &url, "ada").await;
    assert!(returned.starts_with(REDIRECT));
    let answer = browser.come_back(&app, &returned).await;
    assert_eq!((answer.status.as_u16(), answer.headers["location"].to_str().unwrap()), (303, "/"));
    assert_eq!(browser.cookie(COOKIE_NAME), None, "the sign-in's cookie is taken away");

    let user = me(&app, &browser).await;
    let subject = Subject { issuer: provider.issuer.clone(), subject: "ada".into() };
    assert_eq!(user["id"], json!(subject.user_id()));
    assert_eq!((&user["email"], &user["name"]), (&json!("ada@example.test"), &json!("Name of ada")));
    assert_eq!(user["role"], "learner");

    let mut other = Browser::new();
    other.sign_in(&app, &provider, "ada").await;
    assert_eq!(me(&app, &other).await, user);
    let count =
        "select count(*) from sign_in where user_id = $1 and door = 'openid' and address = '127.0.0.1'";
    let client = app.db.pool.client().await.unwrap();
    let journal: i64 = client.query_one(count, &[&subject.user_id().0]).await.unwrap().get(0);
    assert_eq!(journal, 2);
}

#[tokio::test]
async fn what_the_provider_gave_is_kept_encrypted() {
    let (provider, app) = start().await;
    Browser::new().sign_in(&app, &provider, "ada").await;
    let user = Subject { issuer: provider.issuer.clone(), subject: "ada".into() }.user_id();
    let ring = |current: [u8; 32], old: Option<[u8; 32]>| {
        Arc::new(Keyring { current: Some(StateKey::new(&current)), old: old.map(|key| StateKey::new(&key)) })
    };
    let kept = async |ring| PgIdentities::new(app.db.pool.clone(), ring).tokens(user).await;
    let tokens = kept(ring([0x5e; 32], None)).await.unwrap().unwrap();
    assert!(tokens.access_token.len() > 20);
    let rotated = kept(ring([1; 32], Some([0x5e; 32]))).await.unwrap().unwrap();
    assert!(rotated == tokens);
    assert_eq!(kept(ring([1; 32], None)).await.err().unwrap().code, "state_key.other");
    let client = app.db.pool.client().await.unwrap();
    let row = client.query_one("select ciphertext from oauth_token", &[]).await.unwrap();
    let ciphertext: Vec<u8> = row.get(0);
    assert!(!String::from_utf8_lossy(&ciphertext).contains(&tokens.access_token));
}

#[tokio::test]
async fn a_new_user_finds_their_directories_made() {
    let (provider, app) = start().await;
    Browser::new().sign_in(&app, &provider, "ada").await;
    let user = Subject { issuer: provider.issuer.clone(), subject: "ada".into() }.user_id();
    let directory = app.state_dir().join("workspaces").join(user.to_string()).join("hello-terraform");
    let started = Instant::now();
    while !directory.is_dir() {
        assert!(started.elapsed() < PATIENCE, "{} is not made", directory.display());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let token = app.login().await;
    let runs = app.get("/flow-manager/runs?flow=user-onboard", &token).await.body;
    assert_eq!(runs["data"].as_array().unwrap().len(), 1, "{runs}");
    assert_eq!(runs["data"][0]["input"], json!({"user": user}));
}

#[tokio::test]
async fn an_address_that_is_not_verified_or_is_another_users_joins_no_account() {
    let (provider, app) = start().await;
    let register = json!({"email": "grace@example.test", "password": "long enough to be one"});
    let grace = app.post("/auth/register", "", &register).await;
    assert_eq!(grace.status, 201, "{}", grace.body);
    for (login, email) in [("unverified", Value::Null), ("grace", Value::Null)] {
        let mut browser = Browser::new();
        assert_eq!(browser.sign_in(&app, &provider, login).await.status, 303);
        let user = me(&app, &browser).await;
        assert_eq!(user["email"], email, "{login}");
        assert_ne!(user["id"], grace.body["id"]);
    }
}

#[tokio::test]
async fn keys_that_the_provider_rotates_are_followed() {
    let (provider, app) = start().await;
    for _ in 0..3 {
        let answer = Browser::new().sign_in(&app, &provider, "ada").await;
        assert_eq!(answer.status, 303, "{}", answer.body);
        provider.rotate_keys().await;
    }
}

#[tokio::test]
async fn over_https_the_cookie_is_marked_secure() {
    let provider = super::Provider::start().await;
    let redirect = [("FLOW_OIDC_REDIRECT_URL", "https://flow.example.org/auth/google/callback")];
    let app = app_of(&provider.issuer, &redirect).await;
    let answer = app.get("/auth/google", "").await;
    let cookie = answer.headers["set-cookie"].to_str().unwrap();
    for wanted in ["; Secure", "; HttpOnly", "; SameSite=Lax", "; Path=/auth/google", "; Max-Age=600"] {
        assert!(cookie.contains(wanted), "{wanted} in {cookie}");
    }
}
