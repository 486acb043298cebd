//! What happens between somebody who types and a room, whatever shows it.

use std::sync::Arc;
use std::time::Duration;

use flow_domain::rooms::{Message, PersonKind};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::driver::cli::remote::{Failure, News, Remote, follow};

/// Streams are asked for anew this often, in seconds.
const STREAM_S: u32 = 600;
/// At the end of the input, what was said last is waited for so long.
const LAST_WORD: Duration = Duration::from_secs(10);

/// What there is to be seen.
#[derive(Debug)]
pub enum Shown {
    Message(Message),
    /// Something the client says.
    Note(String),
    Status(Status),
    Over,
}

/// What somebody types.
#[derive(Debug)]
pub enum Typed {
    Line(String),
    /// There will be no more.
    End,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    pub room: Option<String>,
    pub connected: bool,
}

pub struct Session {
    remote: Arc<Remote>,
    show: mpsc::UnboundedSender<Shown>,
    joined: Option<Joined>,
    status: Status,
    /// The highest number this client was given for a message, and saw.
    said: i64,
    seen: i64,
    joined_once: bool,
}

struct Joined {
    room: String,
    news: mpsc::Receiver<News>,
    stay: watch::Sender<bool>,
    follower: JoinHandle<()>,
}

impl Drop for Joined {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

impl Session {
    pub fn new(remote: Arc<Remote>, show: mpsc::UnboundedSender<Shown>) -> Self {
        Self { remote, show, joined: None, status: Status::default(), said: 0, seen: 0, joined_once: false }
    }

    /// To the end of the input or `/quit`. An error when the room could not be joined at first.
    pub async fn run(
        mut self,
        room: String,
        mut typed: mpsc::UnboundedReceiver<Typed>,
    ) -> Result<(), String> {
        self.join(room);
        let mut ended: Result<(), String> = Ok(());
        loop {
            tokio::select! {
                typed = typed.recv() => match typed {
                    Some(Typed::Line(line)) if line.trim() == "/quit" => break,
                    Some(Typed::Line(line)) => self.enter(line.trim()).await,
                    Some(Typed::End) | None => {
                        ended = self.hear_the_last_word().await;
                        break;
                    }
                },
                news = next(&mut self.joined) => {
                    ended = self.hear(news);
                    if ended.is_err() {
                        break;
                    }
                }
            }
        }
        self.leave().await;
        let _ = self.show.send(Shown::Over);
        ended
    }

    async fn hear_the_last_word(&mut self) -> Result<(), String> {
        let wait = async {
            while self.joined.is_some() && (self.seen < self.said || !self.joined_once) {
                let news = next(&mut self.joined).await;
                self.hear(news)?;
            }
            Ok(())
        };
        tokio::time::timeout(LAST_WORD, wait).await.unwrap_or(Ok(()))
    }

    fn note(&self, text: impl Into<String>) {
        let _ = self.show.send(Shown::Note(text.into()));
    }

    fn set_status(&mut self, connected: bool) {
        let room = self.joined.as_ref().map(|joined| joined.room.clone());
        let status = Status { room, connected };
        if status != self.status {
            self.status = status.clone();
            let _ = self.show.send(Shown::Status(status));
        }
    }

    fn hear(&mut self, news: News) -> Result<(), String> {
        match news {
            News::Connected => {
                if !self.joined_once || !self.status.connected {
                    self.note(format!("You are in {}.", self.room()));
                }
                self.joined_once = true;
                self.set_status(true);
            }
            News::Event(event) => {
                if let Ok(message) = serde_json::from_str::<Message>(&event.data) {
                    self.seen = self.seen.max(message.id);
                    let _ = self.show.send(Shown::Message(message));
                }
            }
            News::Lost(reason) => {
                if self.status.connected || !self.joined_once {
                    self.note(format!("Reconnecting: {reason}."));
                }
                self.set_status(false);
            }
            News::Refused(failure) => {
                let sentence = format!("{} cannot be joined: {failure}", self.room());
                self.joined = None;
                self.set_status(false);
                if !self.joined_once {
                    return Err(sentence);
                }
                self.note(sentence);
            }
        }
        Ok(())
    }

    fn room(&self) -> &str {
        self.joined.as_ref().map_or("no room", |joined| &joined.room)
    }

    async fn enter(&mut self, line: &str) {
        let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
        match command {
            "" => {}
            "/join" => match rest.trim() {
                "" => self.note("Which room? /join ROOM"),
                room => {
                    self.leave().await;
                    self.join(room.to_owned());
                }
            },
            "/leave" if self.joined.is_none() => self.note("You are in no room."),
            "/leave" => self.leave().await,
            "/who" => self.who().await,
            "/help" => self.note("Commands: /join ROOM, /leave, /who, /quit. All else is said."),
            _ if line.starts_with('/') && !line.starts_with("//") => {
                self.note(format!("There is no command {command}: /join ROOM, /leave, /who, /quit, /help."));
            }
            _ => self.say(line.strip_prefix('/').unwrap_or(line)).await,
        }
    }

    fn join(&mut self, room: String) {
        let (tell, news) = mpsc::channel(256);
        let (stay, staying) = watch::channel(true);
        let path = format!("/room/{}?timeout={STREAM_S}", in_a_path(&room));
        // From the beginning: the history is shown first.
        let follower = tokio::spawn(follow(self.remote.clone(), path, 0, tell, staying));
        (self.said, self.seen) = (0, 0);
        self.joined = Some(Joined { room, news, stay, follower });
        self.set_status(false);
    }

    /// Ends the stream by its own call, which the server answers when it is ended.
    async fn leave(&mut self) {
        let Some(joined) = self.joined.take() else { return };
        let _ = joined.stay.send(false);
        let path = format!("/room/{}/me", in_a_path(&joined.room));
        match self.remote.call(Method::DELETE, &path, None).await {
            Ok(_) => self.note(format!("You left {}.", joined.room)),
            // The stream ends with this process anyway.
            Err(failure) => {
                self.note(format!("You left {}; the server did not hear it: {failure}", joined.room))
            }
        }
        self.set_status(false);
    }

    async fn who(&mut self) {
        if self.joined.is_none() {
            return self.note("You are in no room.");
        }
        let path = format!("/room/{}/who", in_a_path(self.room()));
        match self.remote.call(Method::GET, &path, None).await {
            Ok(answer) => {
                let users = answer["users"].as_array().map_or(&[][..], Vec::as_slice);
                let names: Vec<String> = users.iter().map(name).collect();
                self.note(format!("In {}: {}.", self.room(), names.join(", ")));
            }
            Err(failure) => self.note(failure.to_string()),
        }
    }

    async fn say(&mut self, text: &str) {
        if self.joined.is_none() {
            return self.note("You are in no room: /join ROOM.");
        }
        let path = format!("/room/{}", in_a_path(self.room()));
        match self.remote.call(Method::POST, &path, Some(&json!({"text": text}))).await {
            Ok(message) => self.said = self.said.max(message["id"].as_i64().unwrap_or(0)),
            Err(Failure::Refused { detail, .. }) => self.note(format!("Not said: {detail}")),
            Err(Failure::Away(reason)) => self.note(format!("Perhaps not said: {reason}.")),
        }
    }
}

/// What the room tells next; nothing where there is none.
async fn next(joined: &mut Option<Joined>) -> News {
    match joined {
        Some(joined) => match joined.news.recv().await {
            Some(news) => news,
            None => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}

fn name(user: &Value) -> String {
    let kind = user["kind"].as_str().and_then(PersonKind::parse);
    let name = user["name"].as_str().unwrap_or("?");
    match kind {
        Some(PersonKind::Temporary) => format!("{name} (temporary)"),
        _ => name.to_owned(),
    }
}

/// The server says what is wrong with a name; here it only must not become another path.
fn in_a_path(room: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    room.bytes().map(byte).collect()
}
