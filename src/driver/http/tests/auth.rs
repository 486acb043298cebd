//! `/auth/*` and the doors of `/login` that need no address.

use rocket::http::Header;
use rocket::local::asynchronous::LocalRequest;
use serde_json::{Value, json};

use super::{EMAIL, PASSWORD, Seen, Service, seen, with};

impl Service {
    async fn sign_in(&self) -> Seen {
        let body = json!({"email": EMAIL, "password": PASSWORD}).to_string();
        let answer = self.post("/auth/login", None, body).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer
    }

    async fn refresh(&self, token: &Value) -> Seen {
        self.post("/auth/refresh", None, json!({"refresh_token": token}).to_string()).await
    }

    async fn with_cookie(&self, path: &'static str, cookie: &str, site: Option<&'static str>) -> Seen {
        let (name, value) = cookie.split_once('=').unwrap();
        let request = self.client.post(path).cookie((name.to_owned(), value.to_owned()));
        let request = match site {
            Some(site) => request.header(Header::new("Sec-Fetch-Site", site)),
            None => request,
        };
        seen(request.dispatch().await).await
    }
}

fn access(answer: &Seen) -> Option<&str> {
    answer.body["access_token"].as_str()
}

/// `name=value` of the answer's cookie.
fn cookie(answer: &Seen) -> String {
    answer.header("set-cookie").split(';').next().unwrap().to_owned()
}

#[rocket::async_test]
async fn a_login_is_renewed_and_the_used_token_is_no_longer_the_newest() {
    let service = Service::start().await;
    let login = service.sign_in().await;
    assert_eq!((&login.body["token_type"], &login.body["expires_in"]), (&json!("Bearer"), &json!(900)));
    assert_eq!(login.body["user"], json!(service.user));
    assert_eq!(service.get("/me", access(&login)).await.status, 200);

    let second = service.refresh(&login.body["refresh_token"]).await;
    assert_eq!(second.status, 200, "{}", second.body);
    assert_ne!(second.body["refresh_token"], login.body["refresh_token"]);
    assert_ne!(second.body["access_token"], login.body["access_token"]);
    let third = service.refresh(&second.body["refresh_token"]).await;
    assert_eq!(third.status, 200);

    // Two behind: it was copied. The whole login ends, access tokens included.
    service.refresh(&login.body["refresh_token"]).await.is_problem(401, "auth.refresh_invalid");
    service.refresh(&third.body["refresh_token"]).await.is_problem(401, "auth.refresh_invalid");
    for answer in [&login, &second, &third] {
        service.get("/me", access(answer)).await.is_problem(401, "auth.token_revoked");
    }
    // Another login is another's.
    assert_eq!(service.get("/me", access(&service.sign_in().await)).await.status, 200);
}

#[rocket::async_test]
async fn two_tabs_that_renew_at_once_both_go_on() {
    let service = Service::start().await;
    let login = service.sign_in().await;
    let one = service.refresh(&login.body["refresh_token"]).await;
    let two = service.refresh(&login.body["refresh_token"]).await;
    assert_eq!((one.status, two.status), (200, 200));
    assert_eq!(service.refresh(&two.body["refresh_token"]).await.status, 200);
    assert_eq!(service.refresh(&one.body["refresh_token"]).await.status, 200);
}

#[rocket::async_test]
async fn the_cookie_carries_the_token_out_of_scripts_reach() {
    let service = Service::start().await;
    let login = service.sign_in().await;
    let set = login.header("set-cookie").to_owned();
    for part in ["; Path=/auth;", "; HttpOnly", "; SameSite=Strict", "; Max-Age=8"] {
        assert!(set.contains(part), "{set}");
    }
    assert!(!set.contains("Secure") && set.starts_with("flow_refresh=fmr_"), "{set}");
    let renewed = service.with_cookie("/auth/refresh", &cookie(&login), Some("same-origin")).await;
    assert_eq!((renewed.status, renewed.body.get("refresh_token")), (200, None));
    assert_ne!(cookie(&renewed), cookie(&login));
    for site in ["cross-site", "same-site"] {
        let answer = service.with_cookie("/auth/refresh", &cookie(&renewed), Some(site)).await;
        answer.is_problem(401, "auth.refresh_missing");
    }
    let out = service.with_cookie("/auth/logout", &cookie(&renewed), None).await;
    assert_eq!((out.status, cookie(&out).as_str()), (204, "flow_refresh="));
    assert!(out.header("set-cookie").contains("Max-Age=0"));
    service.get("/me", access(&renewed)).await.is_problem(401, "auth.token_revoked");
}

#[rocket::async_test]
async fn a_logout_ends_what_it_was_given() {
    let service = Service::start().await;
    let body = |answer: &Seen| json!({"refresh_token": answer.body["refresh_token"]}).to_string();
    // By the refresh token.
    let login = service.sign_in().await;
    assert_eq!(service.post("/auth/logout", None, body(&login)).await.status, 204);
    service.get("/me", access(&login)).await.is_problem(401, "auth.token_revoked");
    service.refresh(&login.body["refresh_token"]).await.is_problem(401, "auth.refresh_invalid");
    // By the access token alone.
    let login = service.sign_in().await;
    assert_eq!(service.post("/auth/logout", access(&login), "").await.status, 204);
    service.get("/me", access(&login)).await.is_problem(401, "auth.token_revoked");
    service.refresh(&login.body["refresh_token"]).await.is_problem(401, "auth.refresh_invalid");
    // A token of /login, and no other of its owner's.
    let (one, two) = (service.own_token(), service.own_token());
    assert_eq!(service.post("/auth/logout", Some(&one), "").await.status, 204);
    service.get("/me", Some(&one)).await.is_problem(401, "auth.token_revoked");
    assert_eq!(service.get("/me", Some(&two)).await.status, 200);
    // Nothing, rubbish, and what is over already.
    for rubbish in ["", "{}", r#"{"refresh_token":"fmr_x"}"#] {
        assert_eq!(service.post("/auth/logout", Some(&one), rubbish).await.status, 204);
    }
}

/// What a gateway would set, from somebody who is none.
fn lie(request: LocalRequest<'_>) -> LocalRequest<'_> {
    request.header(Header::new("X-User-Id", "1")).header(Header::new("X-User-Role", "admin"))
}

#[rocket::async_test]
async fn verify_says_whose_a_token_is_and_trusts_no_header_for_it() {
    let service = Service::start().await;
    let token = service.own_token();
    let by_get = seen(with(lie(service.client.get("/auth/verify")), Some(&token)).dispatch().await).await;
    let by_post = service.post("/auth/verify", Some(&token), "").await;
    let in_body = service.post("/auth/verify", None, json!({"token": token}).to_string()).await;
    for answer in [by_get, by_post, in_body] {
        assert_eq!((answer.status, &answer.body), (200, &json!({"valid": true, "user": service.user})));
        assert_eq!(answer.header("x-user-id"), service.user.id.to_string());
        assert_eq!(answer.header("x-user-role"), "operator");
    }
    let nobody = lie(service.client.get("/me"));
    seen(nobody.dispatch().await).await.is_problem(401, "auth.token_missing");
    service.get("/auth/verify", None).await.is_problem(401, "auth.token_missing");
    service.post("/auth/verify", None, "{}").await.is_problem(401, "auth.token_missing");
    let other = json!({"token": service.own_token()}).to_string();
    service.post("/auth/verify", Some(&token), other).await.is_problem(401, "auth.token_invalid");
    let broken = json!({"token": format!("{token}x")}).to_string();
    service.post("/auth/verify", None, broken).await.is_problem(401, "auth.token_invalid");
}

#[rocket::async_test]
async fn who_registers_can_sign_in_once_the_password_will_do() {
    let service = Service::start().await;
    let register = async |body: Value| service.post("/auth/register", None, body.to_string()).await;
    let made = register(json!({"email": "bob@example.org", "password": PASSWORD, "name": "Bob"})).await;
    assert_eq!(
        (made.status, &made.body["role"], &made.body["name"]),
        (201, &json!("learner"), &json!("Bob"))
    );
    let body = json!({"email": "BOB@example.org", "password": PASSWORD}).to_string();
    assert_eq!(service.post("/auth/login", None, body).await.body["user"], made.body);
    register(json!({"email": "Bob@Example.org", "password": PASSWORD}))
        .await
        .is_problem(409, "user.email_taken");
    for (email, password, name, faults) in [
        ("bob", "short", "Bob", vec!["/email", "/password"]),
        ("b@example.org", "Password1", "", vec!["/name", "/password"]),
        ("b@example.org", "12345678", "Bob", vec!["/password"]),
        ("b b@example.org", PASSWORD, "Bob\n", vec!["/email", "/name"]),
    ] {
        let answer = register(json!({"email": email, "password": password, "name": name})).await;
        answer.is_problem(422, "body.invalid");
        assert_eq!(answer.pointers(), faults, "{}", answer.body);
    }
}

#[rocket::async_test]
async fn names_and_nobody_come_in_by_login() {
    let service = Service::start().await;
    let login = async |body: &str| service.post("/login", None, body.to_owned()).await;
    for answer in [login("").await, login("{}").await, service.post("/token", None, "").await] {
        assert_eq!((answer.status, &answer.body["user"]["role"]), (200, &json!("anonymous")));
        let me = service.get("/me", answer.body["token"].as_str()).await;
        assert_eq!(me.body, answer.body["user"]);
        service
            .get("/flow-manager/runs", answer.body["token"].as_str())
            .await
            .is_problem(403, "auth.role_too_low");
    }
    let zoe = login(r#"{"username":"Zoe"}"#).await;
    assert_eq!((zoe.status, &zoe.body["user"]["username"]), (200, &json!("Zoe")));
    assert_eq!(service.get("/me", zoe.body["token"].as_str()).await.body, zoe.body["user"]);
    login(r#"{"username":"zoe"}"#).await.is_problem(401, "auth.name_taken");
    login(r#"{"username":"zoe","password":"aFtg&89M"}"#).await.is_problem(401, "auth.refused");
    let bob = login(r#"{"username":"bob","password":"aFtg&89M"}"#).await;
    assert_eq!((bob.status, &bob.body["user"]["role"]), (200, &json!("learner")));
    let again = login(r#"{"username":"Bob","password":"aFtg&89M"}"#).await;
    assert_eq!(again.body["user"], bob.body["user"]);
}

#[rocket::async_test]
async fn there_are_no_public_keys_of_a_secret() {
    let service = Service::start().await;
    let keys = service.get("/.well-known/jwks.json", None).await;
    assert_eq!((keys.status, keys.body), (200, json!({"keys": []})));
}
