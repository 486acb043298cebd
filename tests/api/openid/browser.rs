//! Somebody who signs in at the provider with a browser.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Method, Response, StatusCode, Url};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Provider, REDIRECT};
use crate::harness::{Answer, TestApp};

pub const COOKIE_NAME: &str = "flow_openid";

/// One browser: each host's cookies by name.
#[derive(Default)]
pub struct Browser {
    client: Option<reqwest::Client>,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    pub fn new() -> Self {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { client: Some(client), ..Self::default() }
    }

    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.get(name).map(String::as_str)
    }

    async fn send(&mut self, method: Method, url: &str, form: Option<&str>) -> Response {
        let jar: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = self.client.as_ref().unwrap().request(method, url).header(COOKIE, jar.join("; "));
        if let Some(form) = form {
            request =
                request.header("Content-Type", "application/x-www-form-urlencoded").body(form.to_owned());
        }
        let answer = request.send().await.unwrap();
        for cookie in answer.headers().get_all(SET_COOKIE) {
            let (pair, rest) = cookie.to_str().unwrap().split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            let gone = value.is_empty() || rest.contains("Max-Age=0") || rest.contains("1970");
            match gone {
                true => self.cookies.remove(name),
                false => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
        answer
    }

    /// Starts at the service; the provider's address to go on at.
    pub async fn begin(&mut self, app: &TestApp) -> String {
        let answer = self.send(Method::GET, &format!("{}/auth/google", app.base), None).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{}", answer.text().await.unwrap());
        answer.headers()[LOCATION].to_str().unwrap().to_owned()
    }

    /// Signs in there under a name and agrees to everything; where the provider sends the browser then.
    pub async fn at_provider(&mut self, provider: &Provider, url: &str, login: &str) -> String {
        let mut next = url.to_owned();
        let mut form = None;
        for _ in 0..12 {
            if next.starts_with(REDIRECT) {
                return next;
            }
            if next.starts_with('/') {
                next = format!("{}{next}", provider.issuer);
            }
            let method = if form.is_some() { Method::POST } else { Method::GET };
            let answer = self.send(method, &next, form.take().as_deref()).await;
            match answer.headers().get(LOCATION) {
                Some(location) => next = location.to_str().unwrap().to_owned(),
                // A page of the provider: the form for a name, or the one to agree.
                None => {
                    let page = answer.text().await.unwrap();
                    let prompt = if page.contains(r#"value="login""#) { "login" } else { "consent" };
                    assert!(page.contains("<form"), "{page}");
                    form = Some(format!("prompt={prompt}&login={login}&password=x"));
                }
            }
        }
        panic!("the provider leads in circles: {next}");
    }

    /// Comes back to the service.
    pub async fn come_back(&mut self, app: &TestApp, returned: &str) -> Answer {
        let query = Url::parse(returned).unwrap().query().unwrap().to_owned();
        let answer =
            self.send(Method::GET, &format!("{}/auth/google/callback?{query}", app.base), None).await;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let text = answer.text().await.unwrap();
        Answer { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
    }

    /// The whole way.
    pub async fn sign_in(&mut self, app: &TestApp, provider: &Provider, login: &str) -> Answer {
        let url = self.begin(app).await;
        let returned = self.at_provider(provider, &url, login).await;
        self.come_back(app, &returned).await
    }
}

/// Tokens that somebody gets for a client of the provider, without the service.
pub async fn tokens_of(provider: &Provider, client: &str, login: &str) -> Value {
    let verifier = "a verifier of PKCE has between 43 and 128 letters".replace(' ', "-");
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier));
    let url = format!(
        "{}/auth?client_id={client}&response_type=code&redirect_uri={REDIRECT}&scope=openid%20email%20profile\
         &state=s&nonce=n&code_challenge={challenge}&code_challenge_method=S256",
        provider.issuer
    );
    let returned = Browser::new().at_provider(provider, &url, login).await;
    let returned = Url::parse(&returned).unwrap();
    let code = returned.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    let form =
        format!("grant_type=authorization_code&code={code}&redirect_uri={REDIRECT}&code_verifier={verifier}");
    post_form(provider, client, form).await
}

/// Tokens of a program.
pub async fn machine_tokens(provider: &Provider) -> Value {
    post_form(provider, "machine", "grant_type=client_credentials".into()).await
}

async fn post_form(provider: &Provider, client: &str, form: String) -> Value {
    let request = reqwest::Client::new().post(format!("{}/token", provider.issuer));
    let request = request.basic_auth(client, Some(format!("{client}-secret"))).body(form);
    let request = request.header("Content-Type", "application/x-www-form-urlencoded");
    request.send().await.unwrap().json().await.unwrap()
}
