use reqwest::Url;

use super::{Browser, Provider, REDIRECT, app_of, start};
use crate::harness::TestApp;

fn with(url: &str, name: &str, value: &str) -> String {
    let mut url = Url::parse(url).unwrap();
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    url.query_pairs_mut().clear();
    for (key, old) in &pairs {
        url.query_pairs_mut().append_pair(key, if key == name { value } else { old });
    }
    url.into()
}

#[tokio::test]
async fn an_answer_to_another_sign_in_is_refused() {
    let (provider, app) = start().await;
    let mut browser = Browser::new();
    let url = browser.begin(&app).await;
    let returned = browser.at_provider(&provider, &url, "ada").await;
    // Somebody else's browser, which started nothing.
    Browser::new().come_back(&app, &returned).await.refused(400, "oidc.attempt_missing");
    // One that started another sign-in: the attacker's code in the victim's browser.
    let mut victim = Browser::new();
    victim.begin(&app).await;
    victim.come_back(&app, &returned).await.refused(400, "oidc.state_mismatch");
    for state in ["", "x", "' or 1=1 --"] {
        let mut other = Browser::new();
        other.begin(&app).await;
        other.come_back(&app, &with(&returned, "state", state)).await.refused(400, "oidc.state_mismatch");
    }
    let mut other = Browser::new();
    let state = Url::parse(&other.begin(&app).await).unwrap();
    let state = state.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let foreign = format!("{REDIRECT}?code=x&state={state}&iss=https://evil.example.org");
    other.come_back(&app, &foreign).await.refused(400, "oidc.issuer_mismatch");
    // The first one is still good in its own browser.
    assert_eq!(browser.come_back(&app, &returned).await.status, 303);
}

#[tokio::test]
async fn a_code_is_good_once() {
    let (provider, app) = start().await;
    let mut browser = Browser::new();
    let url = browser.begin(&app).await;
    let cookie = browser.cookie(super::browser::COOKIE_NAME).unwrap().to_owned();
    let returned = browser.at_provider(&provider, &url, "ada").await;
    assert_eq!(browser.come_back(&app, &returned).await.status, 303);
    browser.come_back(&app, &returned).await.refused(400, "oidc.attempt_missing");
    // With the old cookie put back.
    let path = Url::parse(&returned).unwrap();
    let path = format!("/auth/google/callback?{}", path.query().unwrap());
    let request = app.request(reqwest::Method::GET, &path).header("Cookie", format!("flow_openid={cookie}"));
    crate::harness::Answer::to(request).await.refused(401, "oidc.code_refused");
    assert_eq!(accounts(&app).await, 1);
}

#[tokio::test]
async fn an_id_token_for_another_nonce_is_refused() {
    let (provider, app) = start().await;
    let mut browser = Browser::new();
    let url = with(&browser.begin(&app).await, "nonce", "another");
    let returned = browser.at_provider(&provider, &url, "ada").await;
    browser.come_back(&app, &returned).await.refused(401, "oidc.id_token_invalid");
    assert_eq!(accounts(&app).await, 0);
}

#[tokio::test]
async fn a_refusal_of_the_provider_and_an_answer_without_a_code_are_said_plainly() {
    let (_provider, app) = start().await;
    for (rest, status, code) in [
        ("error=access_denied", 401, "oidc.denied"),
        ("x=y", 400, "oidc.code_missing"),
        ("code=", 400, "oidc.code_missing"),
    ] {
        let mut browser = Browser::new();
        let url = Url::parse(&browser.begin(&app).await).unwrap();
        let state = url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
        let returned = format!("{REDIRECT}?state={state}&{rest}");
        browser.come_back(&app, &returned).await.refused(status, code);
    }
    let cookies = ["flow_openid=", "flow_openid=x", "flow_openid=a.b.c", "flow_openid=../../etc"];
    for cookie in cookies {
        let request = app.request(reqwest::Method::GET, "/auth/google/callback?code=x&state=y");
        let answer = crate::harness::Answer::to(request.header("Cookie", cookie)).await;
        answer.refused(400, "oidc.attempt_missing");
    }
}

#[tokio::test]
async fn a_disabled_account_stays_out() {
    let (provider, app) = start().await;
    Browser::new().sign_in(&app, &provider, "ada").await;
    let client = app.db.pool.client().await.unwrap();
    client.execute("update app_user set disabled = true where name = 'Name of ada'", &[]).await.unwrap();
    Browser::new().sign_in(&app, &provider, "ada").await.refused(401, "auth.account_gone");
}

#[tokio::test]
async fn a_provider_that_is_away_is_a_503_and_all_else_works() {
    let (provider, app) = start().await;
    let mut browser = Browser::new();
    let url = browser.begin(&app).await;
    let returned = browser.at_provider(&provider, &url, "ada").await;
    let issuer = provider.issuer.clone();
    provider.stop().await;
    browser.come_back(&app, &returned).await.refused(503, "oidc.unavailable");
    app.login().await;
    // And from the beginning, when nothing of the provider is known yet.
    let fresh = app_of(&issuer, &[]).await;
    let answer = fresh.get("/auth/google", "").await;
    answer.refused(503, "oidc.unavailable");
    assert!(answer.headers.contains_key("retry-after"));
    assert!(!answer.body.to_string().contains(&issuer), "{}", answer.body);
}

#[tokio::test]
async fn without_a_provider_the_door_says_so() {
    let app = TestApp::start().await;
    app.get("/auth/google", "").await.refused(409, "oidc.not_configured");
    app.post("/users", "some-token", &serde_json::json!({})).await.refused(409, "state_key.missing");
}

#[tokio::test]
async fn who_looks_at_a_refusal_is_told_on_the_page() {
    let (_provider, app) = start().await;
    let looked_at = async |app: &TestApp, path: &str| {
        let request = app.request(reqwest::Method::GET, path);
        let request = request.header("Accept", "text/html,application/xhtml+xml,*/*;q=0.8");
        let answer = crate::harness::Answer::to(request).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
        answer.headers["location"].to_str().unwrap().to_owned()
    };
    let told = looked_at(&app, "/auth/google/callback?code=x&state=y").await;
    assert_eq!(told, "/#/sign-in?refused=oidc.attempt_missing");
    assert!(!looked_at(&app, "/auth/google").await.starts_with("/#"), "what is in order goes on");
    let without = TestApp::start().await;
    assert_eq!(looked_at(&without, "/auth/google").await, "/#/sign-in?refused=oidc.not_configured");
}

#[tokio::test]
async fn an_issuer_that_calls_itself_otherwise_is_not_believed() {
    let provider = Provider::start().await;
    let app = app_of(&provider.issuer.replace("127.0.0.1", "localhost"), &[]).await;
    app.get("/auth/google", "").await.refused(503, "oidc.unavailable");
}

async fn accounts(app: &TestApp) -> i64 {
    let client = app.db.pool.client().await.unwrap();
    client.query_one("select count(*) from identity", &[]).await.unwrap().get(0)
}
