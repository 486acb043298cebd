//! Watchers who stop reading: they cost a bounded memory, harm nobody, and miss nothing when they come back.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::service::Service;
use crate::harness::TestDb;

const READERS: usize = 12;
/// Each step's output is kept up to 4 MiB.
const STEPS: usize = 4;
const PATIENCE: Duration = Duration::from_secs(60);

/// A reader by hand, whose kernel takes little for it.
async fn stream_of(service: &Service, path: &str, last: u64) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let address = service.base.strip_prefix("http://").unwrap();
    let mut stream = socket.connect(address.parse().unwrap()).await.unwrap();
    let request = format!(
        "GET {path}/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nLast-Event-ID: {last}\r\n\r\n",
        service.token
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// All that a reader still gets, without the marks of the chunks it came in.
async fn rest(stream: &mut TcpStream) -> String {
    let (mut bytes, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
    // The connection may end by a reset: what came before it counts.
    while let Ok(Ok(read @ 1..)) = tokio::time::timeout(PATIENCE, stream.read(&mut buffer)).await {
        bytes.extend_from_slice(&buffer[..read]);
        if bytes.ends_with(b"0\r\n\r\n") {
            break;
        }
    }
    unchunked(&bytes)
}

fn unchunked(bytes: &[u8]) -> String {
    let body = bytes.windows(4).position(|four| four == b"\r\n\r\n").map_or(0, |at| at + 4);
    let (mut text, mut left) = (Vec::new(), &bytes[body..]);
    while let Some(end) = left.windows(2).position(|two| two == b"\r\n") {
        let size =
            std::str::from_utf8(&left[..end]).ok().and_then(|size| usize::from_str_radix(size, 16).ok());
        let Some(size @ 1..) = size else { break };
        let begin = end + 2;
        text.extend_from_slice(&left[begin..left.len().min(begin + size)]);
        left = left.get(begin + size + 2..).unwrap_or_default();
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Numbers of the whole events in a text, in order, and whether it says `cut` or `end`.
fn events(text: &str) -> (Vec<u64>, bool, bool) {
    let whole = text.rsplit_once("\n\n").map_or("", |(whole, _)| whole);
    let field = |block: &str, name: &str| {
        block.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
    };
    let ids = whole.split("\n\n").filter_map(|block| field(block, "id:")?.parse().ok()).collect();
    let says = |word: &str| whole.split("\n\n").any(|block| field(block, "event:").as_deref() == Some(word));
    (ids, says("cut"), says("end"))
}

fn flood() -> Value {
    let lines = "line=$(head -c 4000 /dev/zero | tr '\\0' x)
                 for _ in 1 2 3; do yes \"$line\" | head -n 400; sleep 0.3; done";
    let sh = json!({"program": "sh", "args": ["-c", lines], "timeout_s": 60});
    let steps = (0..STEPS).map(|number| json!({"name": format!("s{number}"), "task": "exec", "input": sh}));
    json!({"name": "flood", "tasks": steps.collect::<Vec<_>>()})
}

async fn ended(service: &Service, path: &str) -> Value {
    let deadline = Instant::now() + PATIENCE * 2;
    loop {
        let run = service.get(path).await;
        if !run["finished_at"].is_null() {
            return run;
        }
        assert!(Instant::now() < deadline, "{run}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Follows by long poll to the end; the numbers seen, and how long the longest answer was.
async fn polled(service: &Service, path: &str) -> (Vec<u64>, usize) {
    let (mut ids, mut after, mut longest) = (Vec::new(), 0, 0);
    loop {
        let page = service.get(&format!("{path}/events?after={after}&wait=5")).await;
        longest = longest.max(page.to_string().len());
        ids.extend(page["events"].as_array().unwrap().iter().map(|event| event["id"].as_u64().unwrap()));
        if page["done"] == true {
            return (ids, longest);
        }
        after = page["after"].as_u64().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long"]
async fn readers_who_stop_reading_are_cut_off_and_lose_nothing() {
    let db = TestDb::new().await;
    let settings =
        [("FLOW_EXEC_ALLOW", "sh=/bin/sh"), ("FLOW_STREAMS_STALL_S", "2"), ("FLOW_STREAMS_PER_CALLER", "30")];
    let service = Service::start_with(&db.url(), &settings).await;
    // Warm, so that what is measured is what the readers cost.
    let warm = service.begin_path(&flood()).await;
    ended(&service, &warm).await;
    let (all, longest) = polled(&service, &warm).await;
    assert_eq!(all, (1..=all.len() as u64).collect::<Vec<_>>());
    let before = service.memory_kb();

    let path = service.begin_path(&flood()).await;
    let mut readers = Vec::new();
    for _ in 0..READERS {
        readers.push(stream_of(&service, &path, 0).await);
    }
    let begun = Instant::now();
    let (seen, _) = polled(&service, &path).await;
    let others = begun.elapsed();
    ended(&service, &path).await;
    let all: Vec<u64> = (1..=seen.len() as u64).collect();
    assert_eq!(seen, all, "a reader who keeps up has every event once");

    let deadline = Instant::now() + PATIENCE;
    let mut peak = service.memory_kb();
    // Our own requests may keep a connection or two for the next.
    while service.connections() > 2 {
        peak = peak.max(service.memory_kb());
        assert!(Instant::now() < deadline, "{} connections are open", service.connections());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (mut said, mut returns, mut most) = (0, 0, 0);
    for reader in &mut readers {
        let (mut ids, cut, _) = events(&rest(reader).await);
        assert!(ids.len() < all.len(), "it was cut off before the end");
        said += usize::from(cut);
        loop {
            let last = ids.last().copied().unwrap_or(0);
            let mut again = stream_of(&service, &path, last).await;
            let (more, _, end) = events(&rest(&mut again).await);
            ids.extend(more);
            returns += 1;
            if end {
                break;
            }
        }
        assert_eq!(ids, all, "every event once, in order");
        most = most.max(ids.len());
    }
    let (after, told) = (service.memory_kb(), service.log().matches("was cut off").count());
    println!(
        "{READERS} readers who read nothing of {} events while {STEPS} programs flooded: {told} given up, {said} of them told \
         so, all connections closed; they came back {returns} times and had every event once; beside them a poll read all in {others:?}, at most \
         {longest} bytes an answer; memory {before} kB before, {peak} kB at most, {after} kB after; lost: nothing",
        all.len()
    );
    assert!(peak < before + 24 * 1024 && after < before + 24 * 1024, "{before} {peak} {after} kB");
    assert!(longest < 512 << 10, "{longest}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long"]
async fn a_place_is_free_again_when_the_connection_of_a_dead_reader_is_closed() {
    let db = TestDb::new().await;
    let settings =
        [("FLOW_STREAMS_STALL_S", "5"), ("FLOW_STREAMS_PER_CALLER", "2"), ("FLOW_EXEC_ALLOW", "sh=/bin/sh")];
    let service = Service::start_with(&db.url(), &settings).await;
    let path = service.begin_path(&flood()).await;
    ended(&service, &path).await;
    // They read that they have their place, then no more, and never hang up.
    let mut dead = [stream_of(&service, &path, 0).await, stream_of(&service, &path, 0).await];
    for reader in &mut dead {
        let mut head = [0; 12];
        reader.read_exact(&mut head).await.unwrap();
        assert_eq!(&head, b"HTTP/1.1 200");
    }
    let deadline = Instant::now() + PATIENCE;
    let mut seen = BTreeSet::new();
    loop {
        let request = service.client.get(format!("{}{path}/events?wait=1&after=1000000", service.base));
        let answer = request.bearer_auth(&service.token).send().await.unwrap();
        let status = answer.status().as_u16();
        if status == 429 {
            assert!(answer.headers().contains_key("retry-after"));
            assert_eq!(answer.json::<Value>().await.unwrap()["code"], "stream.too_many");
        }
        seen.insert(status);
        if seen == BTreeSet::from([200, 429]) {
            break;
        }
        assert!(Instant::now() < deadline, "{seen:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("two dead readers held both places of a caller, and lost them; lost: nothing");
    drop(dead);
}
