use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// A server on a free port. It answers by path, writes down what it was sent, and closes.
struct Server {
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("a bound socket").port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let server = Self { port, seen: seen.clone() };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A client that hangs up in the middle is a case of its own here.
                tokio::spawn(answer(stream, seen.clone()));
            }
        });
        server
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn client(&self) -> ReqwestHttpClient {
        client(&[&format!("127.0.0.1:{}", self.port)])
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("no test panics with it").clone()
    }
}

async fn answer(mut stream: TcpStream, seen: Arc<Mutex<Vec<String>>>) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    let text = loop {
        let count = stream.read(&mut buffer).await?;
        request.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&request).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.map_or(0, |length| length.parse().expect("a length")) {
            break text;
        }
    };
    seen.lock().expect("no test panics with it").push(text.clone());
    let target = text.split(' ').nth(1).expect("a request line").to_owned();
    if target == "/never" {
        return std::future::pending().await;
    }
    if target == "/broken" {
        return stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await;
    }
    if target == "/endless" {
        stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await?;
        loop {
            stream.write_all(&[b'x'; 4096]).await?;
        }
    }
    if target == "/drips" {
        stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await?;
        return std::future::pending().await;
    }
    let reply = match target.split_once("?to=") {
        Some((path, to)) => {
            let status = &path[1..];
            format!(
                "HTTP/1.1 {status} Moved\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            )
        }
        None if target == "/circle" => {
            "HTTP/1.1 302 Found\r\nlocation: /circle\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                .to_owned()
        }
        None => {
            let headers = "content-length: 5\r\nx-one: a\r\nx-one: b\r\nconnection: close";
            format!("HTTP/1.1 200 OK\r\n{headers}\r\n\r\nhello")
        }
    };
    stream.write_all(reply.as_bytes()).await
}

fn client(hosts: &[&str]) -> ReqwestHttpClient {
    let allowed_hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
    ReqwestHttpClient::new(&HttpClientOptions { allowed_hosts, ..HttpClientOptions::default() })
        .unwrap_or_else(|error| panic!("{error}"))
}

fn request(method: &str, url: String) -> HttpRequest {
    HttpRequest {
        method: method.to_owned(),
        url,
        headers: BTreeMap::new(),
        body: None,
        timeout: Duration::from_secs(10),
        max_bytes: 1000,
    }
}

async fn refusal(client: &ReqwestHttpClient, request: HttpRequest) -> Error {
    client.send(request).await.err().unwrap_or_else(|| panic!("it was answered"))
}

#[tokio::test]
async fn an_answer_comes_with_its_headers_and_the_request_with_its_own() {
    let server = Server::start().await;
    let mut post = request("POST", server.url("/x"));
    post.headers = [("X-Mine".to_owned(), "1".to_owned())].into();
    post.body = Some(b"{}".to_vec());
    let response = server.client().send(post).await.expect("an answer");
    assert_eq!((response.status, response.body.as_slice()), (200, &b"hello"[..]));
    assert_eq!(response.headers["x-one"], "a, b");
    let seen = server.seen().remove(0);
    assert!(seen.starts_with("POST /x HTTP/1.1\r\n") && seen.ends_with("\r\n\r\n{}"), "{seen}");
    assert!(seen.contains("x-mine: 1\r\n") && seen.contains("user-agent: flow-manager/"), "{seen}");
}

#[tokio::test]
async fn a_host_that_is_not_listed_is_never_connected_to() {
    let server = Server::start().await;
    let (other_port, any_name) = (client(&["127.0.0.1"]), client(&["localhost:*", "*.example.com:*"]));
    for refused in [&other_port, &any_name] {
        let error = refusal(refused, request("GET", server.url("/"))).await;
        assert_eq!((error.kind, error.code), (Kind::Forbidden, "http.host_forbidden"));
        assert!(!error.public.contains("127.0.0.1"), "{}", error.public);
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_redirect_is_followed_to_allowed_servers_only() {
    let (first, other) = (Server::start().await, Server::start().await);
    let here = request("GET", first.url("/302?to=/end"));
    assert_eq!(first.client().send(here).await.expect("an answer").body, b"hello");
    let away = first.url(&format!("/302?to={}", other.url("/end")));
    let error = refusal(&first.client(), request("GET", away.clone())).await;
    assert_eq!(error.code, "http.host_forbidden");
    assert!(other.seen().is_empty());
    for trick in ["file:///etc/passwd", "//user:pw@127.0.0.1/", "http://[::1"] {
        let error = refusal(&first.client(), request("GET", first.url(&format!("/302?to={trick}")))).await;
        assert!(matches!(error.code, "http.url_invalid" | "http.redirect_invalid"), "{trick}: {error}");
    }
}

#[tokio::test]
async fn headers_do_not_follow_to_another_origin() {
    let (first, other) = (Server::start().await, Server::start().await);
    let both = client(&["127.0.0.1:*"]);
    let mut get = request("GET", first.url(&format!("/307?to={}", other.url("/end"))));
    get.headers = [("Authorization", "s3cr3t"), ("X-Api-Key", "s3cr3t"), ("Accept", "text/csv")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    both.send(get).await.expect("an answer");
    assert!(first.seen()[0].contains("s3cr3t"));
    let there = other.seen().remove(0);
    assert!(!there.contains("s3cr3t") && there.contains("accept: text/csv"), "{there}");
}

#[tokio::test]
async fn a_redirected_post_becomes_a_get_or_stays_as_its_status_says() {
    for (status, method) in [(301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")] {
        let server = Server::start().await;
        let mut post = request("POST", server.url(&format!("/{status}?to=/end")));
        post.body = Some(b"body".to_vec());
        server.client().send(post).await.expect("an answer");
        let there = server.seen().remove(1);
        assert!(there.starts_with(&format!("{method} /end")), "{status}: {there}");
        assert_eq!(there.ends_with("body"), method == "POST", "{status}: {there}");
    }
}

#[tokio::test]
async fn circles_end_after_five_redirects() {
    let server = Server::start().await;
    let error = refusal(&server.client(), request("GET", server.url("/circle"))).await;
    assert_eq!(error.code, "http.too_many_redirects");
    assert_eq!(server.seen().len(), 1 + MOST_REDIRECTS);
}

#[test]
fn https_is_never_left_for_http() {
    let hop =
        Hop::first(request("GET", "https://a.example/".to_owned())).unwrap_or_else(|error| panic!("{error}"));
    let url = Url::parse("http://a.example/").expect("a URL");
    assert_eq!(hop.next(StatusCode::FOUND, url).err().map(|error| error.code), Some("http.redirect_refused"));
}

#[tokio::test]
async fn a_long_answer_is_refused_whether_it_says_its_length_or_not() {
    let server = Server::start().await;
    let mut short = request("GET", server.url("/"));
    short.max_bytes = 4;
    for long in [short, request("GET", server.url("/endless"))] {
        let error = refusal(&server.client(), long).await;
        assert_eq!((error.kind, error.code), (Kind::TooLarge, "http.answer_too_large"));
    }
    let mut exact = request("GET", server.url("/"));
    exact.max_bytes = 5;
    assert_eq!(server.client().send(exact).await.expect("an answer").body, b"hello");
}

#[tokio::test]
async fn a_silent_and_a_dripping_server_time_out() {
    let server = Server::start().await;
    for path in ["/never", "/drips"] {
        let mut get = request("GET", server.url(path));
        get.timeout = Duration::from_millis(200);
        let error = refusal(&server.client(), get).await;
        assert_eq!((error.kind, error.code), (Kind::Unavailable, "http.timeout"), "{path}");
    }
}

#[tokio::test]
async fn nobody_listening_and_a_broken_answer_are_told_apart() {
    let server = Server::start().await;
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = closed.local_addr().expect("a bound socket").port();
    drop(closed);
    let url = format!("http://127.0.0.1:{port}/?key=s3cr3t");
    let error = refusal(&client(&["127.0.0.1:*"]), request("GET", url)).await;
    assert_eq!((error.kind, error.code), (Kind::Unavailable, "http.unreachable"));
    assert!(!error.to_string().contains("s3cr3t"), "{error}");
    let error = refusal(&server.client(), request("GET", server.url("/broken"))).await;
    assert_eq!((error.kind, error.code), (Kind::Unavailable, "http.broken"));
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_without_its_value() {
    let server = Server::start().await;
    let mut get = request("GET", server.url("/"));
    get.headers = [("authorization".to_owned(), "s3cr3t\r\nx: y".to_owned())].into();
    let error = refusal(&server.client(), get).await;
    assert_eq!(error.code, "http.header_invalid");
    assert!(!error.to_string().contains("s3cr3t"), "{error}");
    for url in ["", "not a url", "/relative"] {
        assert_eq!(
            refusal(&server.client(), request("GET", url.to_owned())).await.code,
            "http.url_invalid",
            "{url:?}"
        );
    }
    assert_eq!(refusal(&server.client(), request("G T", server.url("/"))).await.code, "http.method_invalid");
}
