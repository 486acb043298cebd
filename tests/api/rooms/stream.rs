//! A reader on a socket of its own, which sees what is sent and when it ends.

use std::collections::HashMap;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::PATIENCE;

pub struct Stream {
    socket: BufReader<TcpStream>,
    pub status: u16,
    pub headers: HashMap<String, String>,
    text: String,
}

impl Stream {
    /// Asks, and returns with the answer's head: from then on nothing that is posted is missed.
    pub async fn open(base: &str, path: &str, token: &str, headers: &[(&str, &str)]) -> Self {
        let address = base.strip_prefix("http://").unwrap();
        let mut socket = BufReader::new(TcpStream::connect(address).await.unwrap());
        let mut request =
            format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n");
        headers.iter().for_each(|(name, value)| request += &format!("{name}: {value}\r\n"));
        socket.write_all(format!("{request}\r\n").as_bytes()).await.unwrap();
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            timeout(PATIENCE, socket.read_line(&mut line)).await.expect("the head comes at once").unwrap();
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let status = lines[0].split(' ').nth(1).unwrap().parse().unwrap();
        let header = |line: &String| {
            let (name, value) = line.split_once(": ")?;
            Some((name.to_lowercase(), value.to_owned()))
        };
        Self { socket, status, headers: lines[1..].iter().filter_map(header).collect(), text: String::new() }
    }

    /// One chunk of the body; none at its clean end. An end without the last chunk is an error.
    pub async fn chunk(&mut self) -> std::io::Result<Option<String>> {
        let mut size = String::new();
        self.socket.read_line(&mut size).await?;
        let size = usize::from_str_radix(size.trim_end(), 16)
            .map_err(|_| std::io::Error::from(std::io::ErrorKind::UnexpectedEof))?;
        let mut bytes = vec![0; size + 2];
        self.socket.read_exact(&mut bytes).await?;
        bytes.truncate(size);
        Ok((size > 0).then(|| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// The next line, an empty one included; none at the end.
    pub async fn line(&mut self) -> std::io::Result<Option<String>> {
        loop {
            if let Some((line, rest)) = self.text.split_once('\n') {
                let line = line.to_owned();
                self.text = rest.to_owned();
                return Ok(Some(line));
            }
            match self.chunk().await? {
                Some(chunk) => self.text += &chunk,
                None => return Ok(None),
            }
        }
    }

    /// The next message; none at the end of the stream. Keep-alives are passed over.
    pub async fn message(&mut self) -> Option<Value> {
        let next = async {
            while let Some(line) = self.line().await.unwrap() {
                let json = line.strip_prefix("data: ").unwrap_or(&line);
                if json.starts_with('{') {
                    return Some(serde_json::from_str(json).unwrap());
                }
            }
            None
        };
        timeout(PATIENCE, next).await.expect("a message or the end comes")
    }

    pub async fn texts(&mut self, count: usize) -> Vec<String> {
        let mut texts = Vec::new();
        for _ in 0..count {
            let message = self.message().await.expect("the stream goes on");
            texts.push(message["text"].as_str().unwrap().to_owned());
        }
        texts
    }

    /// Every message up to the end of the stream.
    pub async fn rest(&mut self) -> Vec<Value> {
        let mut rest = Vec::new();
        while let Some(message) = self.message().await {
            rest.push(message);
        }
        rest
    }
}
