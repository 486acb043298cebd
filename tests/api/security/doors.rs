//! Each door with the wrong people before it.

use serde_json::{Value, json};

use super::{PASSWORD, access, code, id, registered, start, with_role};
use crate::harness::{DEMO_PASSWORD, TestApp};

#[tokio::test]
async fn a_visitor_may_use_rooms_and_nothing_else() {
    let app = start().await;
    for body in [json!({}), json!({"username": "Zoe"})] {
        let answer = app.post("/login", "", &body).await;
        assert_eq!((answer.status.as_u16(), &answer.body["user"]["role"]), (200, &json!("anonymous")));
        let token = answer.body["token"].as_str().unwrap();
        assert_eq!(app.get("/room/lobby/who", token).await.status, 200);
        for path in ["/flow-manager/flows", "/flow-manager/tasks", "/flow-manager/runs", "/users"] {
            app.get(path, token).await.refused(403, "auth.role_too_low");
        }
        let flow = json!({"flow": "hello"});
        app.post("/flow-manager", token, &flow).await.refused(403, "auth.role_too_low");
    }
}

#[tokio::test]
async fn each_role_stops_where_the_next_begins() {
    let app = start().await;
    let (learner, operator, admin) = (
        registered(&app, "ann").await,
        with_role(&app, "olga", "operator").await,
        with_role(&app, "ada", "admin").await,
    );
    let someone = id(&learner).to_owned();
    let changes = [
        (format!("/users/{someone}/disable"), Value::Null),
        (format!("/users/{someone}/enable"), Value::Null),
        (format!("/users/{someone}/role"), json!({"role": "admin"})),
    ];
    for token in [access(&learner), access(&operator)] {
        app.get("/users", token).await.refused(403, "auth.role_too_low");
        for (path, body) in &changes {
            app.post(path, token, body).await.refused(403, "auth.role_too_low");
        }
    }
    let all = app.get("/users?limit=2", access(&admin)).await;
    assert_eq!((all.status.as_u16(), all.body["data"].as_array().unwrap().len()), (200, 2));
    let rest = format!("/users?cursor={}", all.body["next_cursor"].as_str().unwrap());
    let rest = app.get(&rest, access(&admin)).await;
    assert_eq!((rest.body["data"].as_array().unwrap().len(), &rest.body["next_cursor"]), (2, &Value::Null));
    assert!(!all.body.to_string().contains("$2b$") && !all.body.to_string().contains("hash"));
    for path in ["/users?limit=0", "/users?limit=x", "/users?cursor=x", "/users?sort=role"] {
        app.get(path, access(&admin)).await.refused(400, "query.invalid");
    }
    for nobody in ["01900000-0000-7000-8000-000000000000", "x", "..%2Fme", "'%20or%201=1"] {
        let path = format!("/users/{nobody}/disable");
        app.post(&path, access(&admin), &Value::Null).await.refused(404, "user.unknown");
    }
    for role in ["system", "anonymous", "root", ""] {
        let answer = app.post(&changes[2].0, access(&admin), &json!({"role": role})).await;
        answer.refused(422, "body.invalid");
    }
    let myself = format!("/users/{}", id(&admin));
    app.post(&format!("{myself}/disable"), access(&admin), &Value::Null)
        .await
        .refused(409, "user.self_disable");
    let lower = json!({"role": "learner"});
    app.post(&format!("{myself}/role"), access(&admin), &lower).await.refused(409, "user.self_role");
}

#[tokio::test]
async fn what_is_anothers_is_not_there() {
    let app = start().await;
    let (ann, bob) = (registered(&app, "ann").await, registered(&app, "bob").await);
    let run = app.run_flow(access(&ann), &json!("hello"), &json!({})).await;
    let run = run.body["links"]["self"].as_str().unwrap().to_owned();
    assert_eq!(app.get(&run, access(&ann)).await.status, 200);
    for path in [run.clone(), format!("{run}/events?wait=0"), format!("{run}/why")] {
        app.get(&path, access(&bob)).await.refused(404, "run.unknown");
    }
    for path in ["cancel", "retry"] {
        let path = format!("{run}/{path}");
        app.post(&path, access(&bob), &json!({})).await.refused(404, "run.unknown");
    }
}

#[tokio::test]
async fn a_closed_account_gets_nothing_by_any_door() {
    let app = start().await;
    let (ann, admin) = (registered(&app, "ann").await, with_role(&app, "ada", "admin").await);
    let path = |what: &str| format!("/users/{}/{what}", id(&ann));
    let closed = app.post(&path("disable"), access(&admin), &Value::Null).await;
    assert_eq!((closed.status.as_u16(), &closed.body["disabled"]), (200, &json!(true)));
    app.get("/me", access(&ann)).await.refused(401, "auth.token_revoked");
    let refresh = json!({"refresh_token": ann["refresh_token"]});
    app.post("/auth/refresh", "", &refresh).await.refused(401, "auth.refresh_invalid");
    let body = json!({"email": "ann@example.org", "password": PASSWORD});
    for door in ["/login", "/auth/login"] {
        app.post(door, "", &body).await.refused(401, "auth.refused");
    }
    // Opened again, the old tokens stay ended.
    assert_eq!(app.post(&path("enable"), access(&admin), &Value::Null).await.status, 200);
    app.get("/me", access(&ann)).await.refused(401, "auth.token_revoked");
    let again = app.post("/auth/login", "", &body).await;
    assert_eq!(app.get("/me", access(&again.body)).await.status, 200);
}

#[tokio::test]
async fn a_stolen_refresh_token_ends_the_login_and_is_told_in_the_log() {
    let app = start().await;
    let ann = registered(&app, "ann").await;
    let refresh = async |token: &Value| app.post("/auth/refresh", "", &json!({"refresh_token": token})).await;
    let second = refresh(&ann["refresh_token"]).await.body;
    let third = refresh(&second["refresh_token"]).await.body;
    refresh(&ann["refresh_token"]).await.refused(401, "auth.refresh_invalid");
    refresh(&third["refresh_token"]).await.refused(401, "auth.refresh_invalid");
    app.get("/me", access(&third)).await.refused(401, "auth.token_revoked");
    let log = app.log();
    assert!(log.contains("security event=refresh_token_reused") && log.contains(id(&ann)), "{log}");
    assert!(!log.contains(ann["refresh_token"].as_str().unwrap()), "{log}");
}

#[tokio::test]
async fn who_fails_too_often_waits_and_others_do_not() {
    let limits = [("FLOW_AUTH_FAILURES_PER_ACCOUNT", "2"), ("FLOW_AUTH_FAILURES_PER_ADDRESS", "9")];
    let app = TestApp::start_with(&limits).await;
    registered(&app, "ann").await;
    for known in ["ann@example.org", "nobody@example.org"] {
        let wrong = json!({"email": known, "password": "wrong"});
        let mut refusals = 0;
        let last = loop {
            let answer = app.post("/login", "", &wrong).await;
            if answer.status != 401 {
                break answer;
            }
            refusals += 1;
        };
        last.refused(429, "auth.too_many_attempts");
        assert!(last.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
        assert_eq!(refusals, 3, "{known}");
    }
    // The right password does not help now, by any door; another account is another's.
    let right = json!({"email": "Ann@Example.org", "password": PASSWORD});
    app.post("/auth/login", "", &right).await.refused(429, "auth.too_many_attempts");
    app.login().await;
    // And then the address is known for it, whichever account it tries.
    let mut codes = Vec::new();
    for number in 0..8 {
        let wrong = json!({"email": format!("someone{number}@example.org"), "password": "wrong"});
        codes.push(code(&app.post("/login", "", &wrong).await).to_owned());
    }
    assert_eq!(codes.last().map(String::as_str), Some("auth.too_many_attempts"), "{codes:?}");
}

#[tokio::test]
async fn sign_up_can_be_closed() {
    let app = TestApp::start_with(&[("FLOW_AUTH_OPEN_SIGNUP", "false")]).await;
    let body = json!({"email": "ann@example.org", "password": PASSWORD});
    app.post("/auth/register", "", &body).await.refused(403, "auth.signup_closed");
    let body = json!({"username": "ann", "password": PASSWORD});
    app.post("/login", "", &body).await.refused(401, "auth.refused");
    assert_eq!(app.post("/login", "", &json!({"username": "ann"})).await.status, 200);
}

/// The demo user is gone where there is no demo, tokens included.
#[tokio::test]
async fn no_demo_no_demo_user() {
    let mut app = start().await;
    let token = app.login().await;
    app.set("FLOW_DEMO", "false");
    app.kill_and_restart().await;
    app.get("/me", &token).await.refused(401, "auth.token_revoked");
    let who = json!({"email": "user3784mail@gmail.com", "password": DEMO_PASSWORD});
    app.post("/login", "", &who).await.refused(401, "auth.refused");
    app.set("FLOW_DEMO", "true");
    app.kill_and_restart().await;
    assert_eq!(app.get("/me", &app.login().await).await.status, 200);
}
