//! Over a real socket: what hyper and Rocket do before and around our code.

use std::time::Duration;

use flow_domain::users::{Stamp, Tokens};
use rocket::Shutdown;
use rocket::fairing::AdHoc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{Parts, log, settings};
use crate::driver::http::{HttpSettings, server};

struct Listening {
    port: u16,
    parts: Parts,
    shutdown: Shutdown,
    server: JoinHandle<Result<(), String>>,
}

impl Listening {
    async fn start() -> Self {
        let (rocket, parts) = Parts::make(settings()).await;
        let (tell, told) = oneshot::channel();
        let liftoff = AdHoc::on_liftoff("port", |rocket| {
            Box::pin(async move {
                let _ = tell.send((rocket.config().port, rocket.shutdown()));
            })
        });
        let server = tokio::spawn(server::launch(rocket.attach(liftoff)));
        let (port, shutdown) = told.await.unwrap();
        Self { port, parts, shutdown, server }
    }

    /// Sends these bytes and reads to the end.
    async fn send(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    }

    async fn stop(self) -> Result<(), String> {
        self.shutdown.notify();
        tokio::time::timeout(Duration::from_secs(20), self.server).await.expect("it stops in time").unwrap()
    }
}

#[test]
fn headers_never_reach_the_log_though_rocket_would_print_them_all() {
    server::runtime(2).unwrap().block_on(async {
        let listening = Listening::start().await;
        let token = listening.parts.tokens.issue(&listening.parts.user, Stamp::default(), Duration::from_secs(60)).unwrap().token;
        let answer = listening
            .send(&format!("GET /me?secret=in-a-query HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"))
            .await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        listening.send("GET /no?secret=in-a-query HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        listening.stop().await.unwrap();
        // Rocket did say it, so there is something to keep quiet.
        assert!(!log::lines_with(&token).is_empty());
        assert!(!log::lines_with("in-a-query").is_empty());
        assert_eq!(log::printed_with(&token), Vec::<String>::new());
        assert_eq!(log::printed_with("in-a-query"), Vec::<String>::new());
    });
}

#[test]
fn what_rocket_cannot_parse_has_the_envelope_too() {
    server::runtime(2).unwrap().block_on(async {
        let listening = Listening::start().await;
        for (line, status, code, allowed) in [
            ("CONNECT example.org:443", 400, "request.malformed", None),
            ("BREW /me", 405, "method.not_allowed", Some("get, head")),
            ("QUERY /room/lobby", 405, "method.not_allowed", Some("get, head, post")),
            ("BREW /nowhere", 404, "path.unknown", None),
        ] {
            let answer =
                listening.send(&format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{line}: {answer}");
            let answer = answer.to_lowercase();
            assert!(answer.contains("x-request-id: ") && answer.contains("nosniff"), "{line}: {answer}");
            assert!(answer.contains(&format!("\"code\":\"{code}\"")), "{line}: {answer}");
            let allow = answer.lines().find_map(|line| line.strip_prefix("allow: "));
            assert_eq!(allow, allowed, "{line}: {answer}");
        }
        listening.stop().await.unwrap();
    });
}

#[test]
fn a_caller_who_sends_too_much_before_it_listens_still_hears_why() {
    server::runtime(2).unwrap().block_on(async {
        let listening = Listening::start().await;
        let body = "x".repeat(7 << 20);
        let answer = listening
            .send(&format!(
                "POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            ))
            .await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
        listening.stop().await.unwrap();
    });
}

#[test]
fn a_port_in_use_is_an_error_that_says_so() {
    server::runtime(2).unwrap().block_on(async {
        let listening = Listening::start().await;
        let (rocket, _) = Parts::make(HttpSettings { port: listening.port, ..settings() }).await;
        let error = server::launch(rocket).await.unwrap_err();
        assert!(error.contains("in use"), "{error}");
        listening.stop().await.unwrap();
    });
}
