//! Id tokens that no good provider makes, from an issuer of our own.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use openidconnect::PrivateSigningKey;
use openidconnect::core::CoreEdDsaPrivateSigningKey;
use reqwest::Url;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

use super::{Browser, app_of};

/// Ed25519 from 32 bytes, as PKCS #8 (RFC 8410).
fn der(seed: u8) -> Vec<u8> {
    let head = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
    [head.as_slice(), &[seed; 32]].concat()
}

fn pem(seed: u8) -> String {
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der(seed)))
}

struct Issuer {
    url: String,
    /// What the token endpoint hands out next.
    id_token: Arc<Mutex<String>>,
}

impl Issuer {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let id_token = Arc::new(Mutex::new(String::new()));
        let issuer = Self { url: url.clone(), id_token: id_token.clone() };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, url.clone(), id_token.clone()));
            }
        });
        issuer
    }

    fn claims(&self, nonce: &str) -> Value {
        let now = Timestamp::now().as_second();
        json!({"iss": self.url, "aud": "svc", "sub": "ada", "nonce": nonce, "iat": now, "exp": now + 300,
            "email": "ada@example.test", "email_verified": true})
    }
}

async fn answer(stream: TcpStream, url: String, id_token: Arc<Mutex<String>>) {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
        head += &line;
    }
    stream.read_exact(&mut vec![0; length]).await.unwrap();
    let path = head.split_whitespace().nth(1).unwrap_or_default();
    let body = match path {
        "/.well-known/openid-configuration" => json!({
            "issuer": url, "authorization_endpoint": format!("{url}/auth"),
            "token_endpoint": format!("{url}/token"), "jwks_uri": format!("{url}/jwks"),
            "response_types_supported": ["code"], "subject_types_supported": ["public"],
            // What it names is not all believed: see below.
            "id_token_signing_alg_values_supported": ["EdDSA", "HS256", "none"],
        }),
        "/jwks" => {
            let key = CoreEdDsaPrivateSigningKey::from_ed25519_pem(&pem(1), None).unwrap();
            let mut key = serde_json::to_value(key.as_verification_key()).unwrap();
            key["kid"] = json!("k1");
            json!({"keys": [key]})
        }
        _ => json!({"access_token": "at", "token_type": "Bearer", "id_token": *id_token.lock().await}),
    };
    let body = body.to_string();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length:";
    let _ = stream.get_mut().write_all(format!("{head} {}\r\n\r\n{body}", body.len()).as_bytes()).await;
}

fn signed(claims: &Value, algorithm: Algorithm, key: &EncodingKey, kid: &str) -> String {
    let header = Header { kid: Some(kid.into()), ..Header::new(algorithm) };
    encode(&header, claims, key).unwrap()
}

fn eddsa(seed: u8) -> EncodingKey {
    EncodingKey::from_ed_der(&der(seed))
}

fn unsigned(claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.", part(&json!({"alg": "none"})), part(claims))
}

#[tokio::test]
async fn only_an_id_token_that_holds_signs_anybody_in() {
    let issuer = Issuer::start().await;
    let app = app_of(&issuer.url, &[]).await;
    let now = Timestamp::now().as_second();
    let good = |claims: &Value| signed(claims, Algorithm::EdDSA, &eddsa(1), "k1");
    let change = |name: &'static str, value: Value| {
        move |claims: &Value| {
            let mut claims = claims.clone();
            claims[name] = value.clone();
            signed(&claims, Algorithm::EdDSA, &eddsa(1), "k1")
        }
    };
    let secret = EncodingKey::from_secret(b"svc-secret");
    type Make<'a> = Box<dyn Fn(&Value) -> String + 'a>;
    let cases: Vec<(&str, bool, Make<'_>)> = vec![
        ("good", true, Box::new(good)),
        ("expired", false, Box::new(change("exp", json!(now - 60)))),
        ("of another issuer", false, Box::new(change("iss", json!("https://evil.example.org")))),
        ("for another audience", false, Box::new(change("aud", json!("other")))),
        ("for others besides us", false, Box::new(change("aud", json!(["svc", "other"])))),
        ("with another nonce", false, Box::new(change("nonce", json!("another")))),
        ("without a nonce", false, Box::new(change("nonce", Value::Null))),
        (
            "with the hash of another access token",
            false,
            Box::new(change("at_hash", json!("AAAAAAAAAAAAAAAAAAAAAA"))),
        ),
        (
            "signed by another key of that name",
            false,
            Box::new(|claims| signed(claims, Algorithm::EdDSA, &eddsa(2), "k1")),
        ),
        (
            "signed by a key nobody knows",
            false,
            Box::new(|claims| signed(claims, Algorithm::EdDSA, &eddsa(2), "k2")),
        ),
        ("signed with our secret", false, Box::new(|claims| signed(claims, Algorithm::HS256, &secret, "k1"))),
        ("not signed", false, Box::new(unsigned)),
        ("good again", true, Box::new(good)),
    ];
    for (what, holds, make) in cases {
        let mut browser = Browser::new();
        let url = Url::parse(&browser.begin(&app).await).unwrap();
        let sent = |wanted| url.query_pairs().find(|(name, _)| name == wanted).unwrap().1.into_owned();
        *issuer.id_token.lock().await = make(&issuer.claims(&sent("nonce")));
        let returned = format!("{}?code=c&state={}", super::REDIRECT, sent("state"));
        let answer = browser.come_back(&app, &returned).await;
        match holds {
            true => assert_eq!(answer.status, 303, "{what}: {}", answer.body),
            false => {
                assert_eq!(answer.status, 401, "{what}: {}", answer.body);
                answer.refused(401, "oidc.id_token_invalid");
            }
        }
    }
}
