//! `/login`, tokens and roles.

use std::time::Duration;

use flow_domain::users::{Role, Stamp, Tokens};
use jsonwebtoken::{Algorithm, EncodingKey, Header as JwtHeader, encode};
use rocket::http::{ContentType, Header};
use serde_json::json;

use super::{EMAIL, PASSWORD, SECRET, Service, log, seen, tokens};

#[rocket::async_test]
async fn the_right_password_gives_a_token_that_works() {
    let service = Service::start().await;
    let login = service.post("/login", None, json!({"email": EMAIL, "password": PASSWORD}).to_string()).await;
    assert_eq!(
        (login.status, &login.body["token_type"], &login.body["expires_in"]),
        (200, &json!("Bearer"), &json!(3600))
    );
    assert_eq!(login.body["user"], json!(service.user));
    assert_eq!(login.header("cache-control"), "no-store");
    let me = service.get("/me", login.body["token"].as_str()).await;
    assert_eq!((me.status, me.body), (200, json!(service.user)));
}

#[rocket::async_test]
async fn every_refused_login_looks_the_same() {
    let service = Service::start().await;
    let mut answers = Vec::new();
    for (email, password) in [(EMAIL, "wrong"), ("nobody@example.org", PASSWORD), (EMAIL, "")] {
        let answer =
            service.post("/login", None, json!({"email": email, "password": password}).to_string()).await;
        answer.is_problem(401, "auth.refused");
        answers.push(answer.body["detail"].clone());
    }
    service.disable().await;
    let answer =
        service.post("/login", None, json!({"email": EMAIL, "password": PASSWORD}).to_string()).await;
    answer.is_problem(401, "auth.refused");
    assert!(answers.iter().all(|detail| *detail == answer.body["detail"]));
}

#[rocket::async_test]
async fn a_login_of_another_shape_names_every_fault() {
    let service = Service::start().await;
    for (body, pointers) in [
        (json!({"email": EMAIL}), vec!["/password"]),
        (json!({"password": PASSWORD}), vec!["/email"]),
        (json!({"email": EMAIL, "username": "ann", "password": PASSWORD}), vec!["/username"]),
        (json!({"email": 1, "password": [], "user": "ann"}), vec!["/email", "/password", "/user"]),
        (json!({"username": "a b"}), vec!["/username"]),
        (json!({"email": EMAIL, "password": "x".repeat(72)}), vec!["/password"]),
    ] {
        let answer = service.post("/login", None, body.to_string()).await;
        answer.is_problem(422, "body.invalid");
        let mut found = answer.pointers();
        found.sort();
        let mut wanted = pointers;
        wanted.sort();
        assert_eq!(found, wanted);
    }
}

#[rocket::async_test]
async fn a_broken_login_puts_no_password_into_any_log_even_at_trace() {
    let service = Service::start().await;
    let secret = "hunter2-in-a-broken-body";
    let bodies = [
        format!(r#"{{"email": "a@example.org", "password": "{secret}""#),
        format!(r#"{{"email": "a@example.org", "password": ["{secret}"]}}"#),
        format!(r#"{{"email": "a@example.org", "password": "{secret}", "more": "{secret}"}}"#),
        format!(r#"{{"email": "{secret}@example.org", "password": "{secret}"}}"#),
        format!(r#""{secret}""#),
        secret.to_owned(),
    ];
    for body in &bodies {
        let answer = service.post("/login", None, body).await;
        assert!(answer.status >= 400);
        assert!(!answer.body.to_string().contains(secret), "{}", answer.body);
    }
    let as_form = service.client.post("/login").header(ContentType::Form).body(format!("password={secret}"));
    seen(as_form.dispatch().await).await.is_problem(415, "body.not_json_type");
    assert_eq!(log::lines_with(secret), Vec::<String>::new());
    // The test would see it if it were there: Rocket logs the guard's error, and that is where it would be.
    let guard = log::lines_with("Data guard `MaybeJsonBody");
    assert!(
        guard.iter().any(|line| line.contains("Login") && line.ends_with("failed: Refused.")),
        "{guard:?}"
    );
    assert_eq!(log::printed_with("Data guard"), Vec::<String>::new());
}

#[rocket::async_test]
async fn without_a_good_token_there_is_nothing_to_see() {
    let service = Service::start().await;
    service.get("/me", None).await.is_problem(401, "auth.token_missing");
    let good = service.own_token();
    assert_eq!(service.get("/me", Some(&good)).await.status, 200);

    let (start, signature) = good.rsplit_once('.').unwrap();
    let forged = format!("{start}.{}", signature.chars().rev().collect::<String>());
    let (_, claims) = start.split_once('.').unwrap();
    // {"alg":"none","typ":"JWT"}
    let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{claims}.");
    let now = jiff::Timestamp::now().as_second();
    let claims = json!({
        "sub": service.user.id, "role": "operator", "iat": now - 120, "exp": now - 60,
        "iss": "flow-manager", "aud": "flow-manager", "jti": "1",
    });
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let expired = encode(&JwtHeader::new(Algorithm::HS256), &claims, &key).unwrap();
    let for_others = tokens("another-service")
        .issue(&service.user, Stamp::default(), Duration::from_secs(60))
        .unwrap()
        .token;
    for (token, code) in [
        (forged, "auth.token_invalid"),
        (unsigned, "auth.token_invalid"),
        (expired, "auth.token_expired"),
        (for_others, "auth.token_invalid"),
        ("x".repeat(1 << 16), "auth.token_invalid"),
        (String::new(), "auth.token_invalid"),
    ] {
        let answer = service.get("/me", Some(&token)).await;
        answer.is_problem(401, code);
        assert!(answer.header("www-authenticate").contains("invalid_token"));
    }
}

#[rocket::async_test]
async fn two_authorization_headers_and_other_schemes_are_refused() {
    let service = Service::start().await;
    let bearer = || Header::new("Authorization", format!("Bearer {}", service.own_token()));
    let twice = service.client.get("/me").header(bearer()).header(bearer());
    // The local client keeps both, as hyper does.
    seen(twice.dispatch().await).await.is_problem(401, "auth.token_invalid");
    let basic = service.client.get("/me").header(Header::new("Authorization", "Basic YTpi"));
    seen(basic.dispatch().await).await.is_problem(401, "auth.token_invalid");
    let lower = service
        .client
        .get("/me")
        .header(Header::new("authorization", format!("bearer {}", service.own_token())));
    assert_eq!(seen(lower.dispatch().await).await.status, 200);
}

#[rocket::async_test]
async fn a_token_outlived_by_its_account_is_told_so() {
    let service = Service::start().await;
    service.get("/me", Some(&service.token(Role::Learner))).await.is_problem(401, "auth.account_gone");
    service.disable().await;
    service.get("/me", Some(&service.own_token())).await.is_problem(401, "auth.account_gone");
}

#[rocket::async_test]
async fn a_role_too_low_is_forbidden_and_a_higher_one_is_not() {
    let service = Service::start().await;
    let low = service.get("/t/admins", Some(&service.token(Role::Operator))).await;
    low.is_problem(403, "auth.role_too_low");
    assert_eq!(service.get("/t/admins", Some(&service.token(Role::Admin))).await.status, 204);
    // Who is refused by role is refused before the body is looked at.
    let low = service.post("/t/things", Some(&service.token(Role::Learner)), "not json").await;
    low.is_problem(403, "auth.role_too_low");
}
