//! One table of tokens, at every kind of door that takes one.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::Method;
use serde_json::{Value, json};

use super::{SECRET, access, registered, start};
use crate::harness::{Answer, TestApp};

/// A door for each way in which a token is looked at.
const DOORS: [(Method, &str); 5] = [
    (Method::GET, "/me"),
    (Method::GET, "/auth/verify"),
    (Method::POST, "/auth/verify"),
    (Method::GET, "/flow-manager/runs"),
    (Method::GET, "/room/lobby/who"),
];

fn signed(header: &Header, claims: &Value, key: &str) -> String {
    encode(header, claims, &EncodingKey::from_secret(key.as_bytes())).unwrap()
}

/// The parts of a token, taken apart.
fn parts(token: &str) -> (Value, Value) {
    let mut parts = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
    let mut json = || serde_json::from_slice(&parts.next().unwrap()).unwrap();
    (json(), json())
}

fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.", part(header), part(claims))
}

/// Each is a good token but for one thing, and the code that it gets.
fn bad_tokens(good: &str) -> Vec<(&'static str, String, &'static str)> {
    let (head, claims) = parts(good);
    let kid = head["kid"].as_str().map(str::to_owned);
    let header = || Header { kid: kid.clone(), ..Header::new(Algorithm::HS256) };
    let now = Timestamp::now().as_second();
    let changed = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        signed(&header(), &claims, SECRET)
    };
    let named = |kid: &str, key: &str| signed(&Header { kid: Some(kid.into()), ..header() }, &claims, key);
    let jwk = json!({"kty": "oct", "k": URL_SAFE_NO_PAD.encode("theirs")});
    let own_key = Header { jwk: serde_json::from_value(jwk).ok(), ..header() };
    let elsewhere = Header { jku: Some("http://127.0.0.1:1/keys".into()), ..header() };
    let (start, signature) = good.rsplit_once('.').unwrap();
    let mut promoted = claims.clone();
    promoted["role"] = json!("admin");
    let promoted = unsigned(&head, &promoted);
    let (invalid, expired) = ("auth.token_invalid", "auth.token_expired");
    vec![
        ("another key", signed(&header(), &claims, "another key of thirty-two bytes or so"), invalid),
        ("an empty key", signed(&header(), &claims, ""), invalid),
        ("expired", changed("exp", json!(now - 60)), expired),
        ("not yet valid", changed("nbf", json!(now + 600)), invalid),
        ("another audience", changed("aud", json!("another")), invalid),
        ("another issuer", changed("iss", json!("another")), invalid),
        ("no subject of ours", changed("sub", json!("1 or 1=1")), invalid),
        ("the system", changed("role", json!("system")), invalid),
        ("a role there is not", changed("role", json!("root")), invalid),
        ("alg none", unsigned(&json!({"alg": "none", "typ": "JWT"}), &claims), invalid),
        ("alg None", unsigned(&json!({"alg": "None", "typ": "JWT", "kid": kid}), &claims), invalid),
        ("another HMAC", signed(&Header { alg: Algorithm::HS512, ..header() }, &claims, SECRET), invalid),
        (
            "RS256 over our secret",
            {
                let token = unsigned(&json!({"alg": "RS256", "typ": "JWT", "kid": kid}), &claims);
                format!("{token}{signature}")
            },
            invalid,
        ),
        ("kid as a path", named("../../../dev/null", ""), invalid),
        ("kid as SQL", named("' union select 'x' --", "x"), invalid),
        ("kid of nobody", named("0", SECRET), invalid),
        ("its own key in the header", signed(&own_key, &claims, "theirs"), invalid),
        ("its own key elsewhere", signed(&elsewhere, &claims, "theirs"), invalid),
        ("another's signature", format!("{promoted}{signature}"), invalid),
        ("no signature", format!("{start}."), invalid),
        ("two parts", start.to_owned(), invalid),
        ("huge", "x".repeat(7000), invalid),
        ("rubbish", "a.b.c".into(), invalid),
    ]
}

async fn at(app: &TestApp, (method, path): &(Method, &str), token: &str) -> Answer {
    Answer::to(app.request(method.clone(), path).bearer_auth(token)).await
}

#[tokio::test]
async fn a_token_that_is_wrong_in_one_thing_opens_no_door() {
    let app = start().await;
    let login = registered(&app, "ann").await;
    let good = access(&login);
    for door in &DOORS {
        assert_eq!(at(&app, door, good).await.status, 200, "{door:?}");
        for (what, token, code) in bad_tokens(good) {
            let answer = at(&app, door, &token).await;
            assert_eq!((answer.status.as_u16(), super::code(&answer)), (401, code), "{what} at {door:?}");
            assert!(!answer.body.to_string().contains(SECRET));
        }
    }
    // Nothing of a token is in the log, whatever became of it.
    let log = app.log();
    assert!(!log.contains(good) && !log.contains(SECRET), "{log}");
}

#[tokio::test]
async fn two_headers_are_one_too_many_and_other_headers_say_nothing() {
    let app = start().await;
    let login = registered(&app, "ann").await;
    let header = format!("Bearer {}", access(&login));
    for (method, path) in &DOORS {
        let twice = app
            .request(method.clone(), path)
            .header("Authorization", &header)
            .header("Authorization", "Bearer x");
        Answer::to(twice).await.refused(401, "auth.token_invalid");
        let named =
            app.request(method.clone(), path).header("X-User-Id", login["user"]["id"].as_str().unwrap());
        Answer::to(named.header("X-User-Role", "admin")).await.refused(401, "auth.token_missing");
        let query = format!("{path}?access_token={}", access(&login));
        assert_eq!(Answer::to(app.request(method.clone(), &query)).await.status, 401, "{path}");
    }
}

#[tokio::test]
async fn a_revoked_token_opens_no_door() {
    let app = start().await;
    let login = registered(&app, "ann").await;
    assert_eq!(app.post("/auth/logout", access(&login), &json!({})).await.status, 204);
    for door in &DOORS {
        at(&app, door, access(&login)).await.refused(401, "auth.token_revoked");
    }
}
