//! `POST /users` where tokens are asked about as Google has it: at an address that tells of any token.

use reqwest::Url;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::browser::tokens_of;
use super::{Provider, app_of};
use crate::harness::TestApp;

/// Who is behind which token, as the endpoint tells: the token, the status, the answer.
type Known = Vec<(String, u16, String)>;

async fn endpoint(known: Known) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/tokeninfo", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, known.clone()));
        }
    });
    url
}

async fn answer(stream: TcpStream, known: Known) {
    let mut stream = BufReader::new(stream);
    let mut first = String::new();
    stream.read_line(&mut first).await.unwrap();
    let mut line = String::new();
    while stream.read_line(&mut line).await.unwrap_or(0) > 2 {
        line.clear();
    }
    let path = first.split_whitespace().nth(1).unwrap();
    let url = Url::parse(&format!("http://localhost{path}")).unwrap();
    let asked = url.query_pairs().find(|(name, _)| name == "access_token").unwrap().1.into_owned();
    let (status, body) = known.iter().find(|(token, ..)| *token == asked).map_or_else(
        || (400, r#"{"error":"invalid_token","error_description":"Invalid Value"}"#.to_owned()),
        |(_, status, body)| (*status, body.clone()),
    );
    let head =
        format!("HTTP/1.1 {status} As Said\r\nContent-Type: application/json\r\nConnection: close\r\n");
    let whole = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    let _ = stream.get_mut().write_all(whole.as_bytes()).await;
}

async fn post(app: &TestApp, token: &str) -> crate::harness::Answer {
    app.post("/users", token, &json!({})).await
}

#[tokio::test]
async fn what_the_endpoint_says_of_a_token_decides() {
    let provider = Provider::start().await;
    let token = async |who: &str| {
        let tokens = tokens_of(&provider, "svc", who).await;
        tokens["access_token"].as_str().unwrap().to_owned()
    };
    let (ada, bob, eve) = (token("ada").await, token("bob").await, token("eve").await);
    // Google's numbers are texts; there is more in its answer than is looked at.
    let info =
        |sub: &str, aud: &str| json!({"sub": sub, "aud": aud, "azp": aud, "exp": "1800000000"}).to_string();
    let known = vec![
        (ada.clone(), 200, info("ada", "svc")),
        (bob.clone(), 200, info("bob", "another")),
        // It vouches for another than the user info endpoint does.
        (eve.clone(), 200, info("ada", "svc")),
        ("no subject & more".to_owned(), 200, r#"{"aud":"svc"}"#.to_owned()),
        ("no json".to_owned(), 200, "<html>".to_owned()),
        ("busy".to_owned(), 429, "{}".to_owned()),
        ("down".to_owned(), 503, "{}".to_owned()),
    ];
    let settings =
        [("FLOW_OIDC_TOKEN_CHECK", "tokeninfo"), ("FLOW_OIDC_TOKENINFO_URL", &*endpoint(known).await)];
    let app = app_of(&provider.issuer, &settings).await;
    for bad in [&bob, "unknown", "no subject & more", "no json"] {
        post(&app, bad).await.refused(401, "oauth.token_invalid");
    }
    // Before ada is known, for whose token alone no profile is asked for.
    let foreign = post(&app, &eve).await;
    assert_ne!(foreign.body["email"], "eve@example.test", "{}", foreign.body);
    foreign.refused(401, "oauth.token_invalid");
    for away in ["busy", "down"] {
        post(&app, away).await.refused(503, "oidc.unavailable");
    }
    let made = post(&app, &ada).await;
    assert!([200, 201].contains(&made.status.as_u16()), "{}", made.body);
    assert_eq!((&made.body["email"], &made.body["role"]), (&json!("ada@example.test"), &json!("learner")));
    assert_eq!(post(&app, &ada).await.body, made.body);
    assert!(!app.log().contains(&ada), "a token is in the log");
}

#[tokio::test]
async fn who_asks_too_often_waits_and_the_provider_is_left_alone() {
    let provider = Provider::start().await;
    let app = app_of(&provider.issuer, &[("FLOW_OIDC_SHOWN_PER_ADDRESS", "3")]).await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(post(&app, "made-up").await.status.as_u16());
    }
    assert_eq!(statuses, [401, 401, 401]);
    let refused = post(&app, "made-up").await;
    refused.refused(429, "auth.too_many_attempts");
    assert!(refused.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
    // Other doors are not counted by it.
    app.login().await;
}
