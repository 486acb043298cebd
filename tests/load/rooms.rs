//! Loads a room and measures it, for `tests/bench-rooms`: the standard library alone, so that `rustc -O` makes it.
//!
//!   rooms HOST:PORT TOKENS read READERS MESSAGES PER_SECOND   every reader checks the order of all messages
//!   rooms HOST:PORT TOKENS idle READERS                       opens streams, says so, waits for a line, closes them
//!   rooms HOST:PORT TOKENS churn TIMES [PER_SECOND TIMEOUT]   opens and closes so many streams, one in two abruptly
//!
//! TOKENS is a file with a token a line.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const STACK: usize = 128 * 1024;
const PATIENCE: Duration = Duration::from_secs(120);

struct Target {
    address: String,
    tokens: Vec<String>,
}

impl Target {
    fn token(&self, number: usize) -> &str {
        &self.tokens[number % self.tokens.len()]
    }

    /// A stream whose head has come: nothing that is said from now on may be missed.
    fn open(&self, number: usize, room: &str, timeout_s: u32) -> BufReader<TcpStream> {
        let mut socket = TcpStream::connect(&self.address).expect("the service listens");
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let token = self.token(number);
        write!(socket, "GET /room/{room}?timeout={timeout_s} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n").unwrap();
        let mut reader = BufReader::with_capacity(8192, socket);
        let head = head(&mut reader);
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        reader
    }
}

fn head(reader: &mut impl BufRead) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0, "the connection ends: {head}");
    }
    head
}

/// One chunk of the body.
fn chunk(reader: &mut impl BufRead, into: &mut Vec<u8>) {
    let mut size = String::new();
    reader.read_line(&mut size).expect("the stream goes on");
    let size = usize::from_str_radix(size.trim_end(), 16).expect("a chunk");
    assert!(size > 0, "the stream ended");
    let begin = into.len();
    into.resize(begin + size + 2, 0);
    reader.read_exact(&mut into[begin..]).unwrap();
    into.truncate(begin + size);
}

fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64
}

fn number_after(line: &str, key: &str) -> u64 {
    let rest = &line[line.find(key).expect("the field is there") + key.len()..];
    rest[..rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len())].parse().unwrap()
}

/// Says the time, over and over, and answers the first message's number.
fn talk(target: &Target, messages: usize, per_second: u32) {
    let socket = TcpStream::connect(&target.address).unwrap();
    socket.set_nodelay(true).unwrap();
    let mut reader = BufReader::new(socket.try_clone().unwrap());
    let mut socket = socket;
    let begun = Instant::now();
    for number in 0..messages {
        let due = begun + Duration::from_secs(1) / per_second * u32::try_from(number).unwrap();
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let body = format!("{{\"text\":\"{}\"}}", now_us());
        let (token, length) = (target.token(number), body.len());
        write!(socket, "POST /room/bench HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
        let head = head(&mut reader);
        assert!(head.starts_with("HTTP/1.1 201"), "{head}");
        let length = number_after(&head.to_lowercase(), "content-length: ");
        reader.read_exact(&mut vec![0; length as usize]).unwrap();
    }
    let late = begun.elapsed().saturating_sub(Duration::from_secs(1) * messages as u32 / per_second);
    println!("said {messages} messages, {per_second} a second, {} ms behind at the end", late.as_millis());
}

/// Checks that every message comes, in order, and tells how long each took.
fn listen(mut reader: BufReader<TcpStream>, messages: usize, tell: &Sender<Vec<u32>>) {
    let (mut text, mut took, mut last) = (Vec::new(), Vec::with_capacity(messages), None);
    while took.len() < messages {
        chunk(&mut reader, &mut text);
        let now = now_us();
        let mut read = 0;
        while let Some(end) = text[read..].iter().position(|byte| *byte == b'\n') {
            let line = std::str::from_utf8(&text[read..read + end]).unwrap();
            read += end + 1;
            if line.is_empty() {
                continue;
            }
            let id = number_after(line, "\"id\":");
            assert!(last.is_none_or(|last| id == last + 1), "{id} after {last:?}");
            last = Some(id);
            took.push(now.saturating_sub(number_after(line, "\"text\":\"")) as u32);
        }
        text.drain(..read);
    }
    tell.send(took).unwrap();
}

fn read(target: &Arc<Target>, readers: usize, messages: usize, per_second: u32) {
    let (tell, told) = channel();
    // One after another: a thousand at once are more than the kernel keeps waiting for one that accepts.
    for number in 0..readers {
        let (reader, tell) = (target.open(number, "bench", 3600), tell.clone());
        let listener = move || listen(reader, messages, &tell);
        thread::Builder::new().stack_size(STACK).spawn(listener).unwrap();
    }
    drop(tell);
    println!("{readers} readers");
    talk(target, messages, per_second);
    let mut took: Vec<u32> = told.iter().flatten().collect();
    assert_eq!(took.len(), readers * messages, "not every reader got every message");
    took.sort_unstable();
    let at = |share: f64| f64::from(took[((took.len() - 1) as f64 * share) as usize]) / 1000.0;
    println!("{} deliveries, all in order, no gap, no double", took.len());
    println!("post to read: p50 {:.1} ms, p99 {:.1} ms, longest {:.1} ms", at(0.5), at(0.99), at(1.0));
}

fn idle(target: &Target, readers: usize) {
    let open: Vec<_> = (0..readers).map(|number| target.open(number, "idle", 3600)).collect();
    println!("open");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    drop(open);
}

/// Streams that would last `timeout_s` if their clients stayed.
fn churn(target: &Arc<Target>, times: usize, per_second: usize, timeout_s: u32) {
    let threads = 16;
    let begun = Instant::now();
    let workers: Vec<_> = (0..threads)
        .map(|worker| {
            let target = target.clone();
            thread::spawn(move || {
                let begun = Instant::now();
                for number in (worker..times).step_by(threads) {
                    let due = begun + Duration::from_secs(1) * number as u32 / per_second as u32;
                    thread::sleep(due.saturating_duration_since(Instant::now()));
                    let stream = target.open(number, "churn", timeout_s);
                    // With unread bytes a close is a reset; without, an orderly end.
                    if number % 2 == 0 {
                        stream.get_ref().shutdown(std::net::Shutdown::Both).unwrap();
                    }
                }
            })
        })
        .collect();
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    println!("opened and closed {times} streams, {:.0} a second", times as f64 / begun.elapsed().as_secs_f64());
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let tokens = std::fs::read_to_string(&arguments[1]).unwrap().lines().map(str::to_owned).collect();
    let target = Arc::new(Target { address: arguments[0].clone(), tokens });
    let number = |at: usize| arguments[at].parse::<usize>().unwrap();
    match arguments[2].as_str() {
        "read" => read(&target, number(3), number(4), number(5) as u32),
        "idle" => idle(&target, number(3)),
        // A thousand a second: streams of one second are then never more than some thousand.
        "churn" if arguments.len() == 4 => churn(&target, number(3), 1000, 1),
        "churn" => churn(&target, number(3), number(4), number(5) as u32),
        other => panic!("what is {other}?"),
    }
}
