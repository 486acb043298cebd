//! Rooms: messages in one order a room, and who reads where.

mod messages;
mod readers;

use std::sync::Arc;

use async_trait::async_trait;
use flow_domain::rooms::{
    History, Leave, Message, Person, PersonKind, RoomName, RoomStore, Signal, Text, Wire,
};
use flow_domain::{Error, Result, UserId};
use tokio::sync::mpsc;
use tokio_postgres::{Config, Row};
use uuid::Uuid;

use super::listen::listen;
use super::pool::{PgPool, column};

/// Signals that wait for who listens; more are lost, and the look now and then finds what they told.
const SIGNALS: usize = 1024;

pub struct PgRoomStore {
    pool: PgPool,
    /// For the connection that listens.
    session: Config,
    wire: Option<Arc<dyn Wire>>,
}

impl PgRoomStore {
    pub fn new(pool: PgPool, session: &Config) -> Self {
        Self { pool, session: session.clone(), wire: None }
    }

    /// Messages are told of by this wire, and by NOTIFY when it does not take them.
    pub fn with_wire(self, wire: Arc<dyn Wire>) -> Self {
        Self { wire: Some(wire), ..self }
    }
}

#[async_trait]
impl RoomStore for PgRoomStore {
    async fn post(&self, room: &RoomName, from: &Person, text: &Text) -> Result<Message> {
        let message = messages::post(&self.pool, room, from, text, self.wire.is_none()).await?;
        if let Some(wire) = &self.wire
            && !wire.tell(room, message.id).await
            && let Err(error) = messages::tell(&self.pool, room, message.id).await
        {
            // It is stored, and found by whoever looks.
            log::debug!("message {} of {room} is not told of: {error}", message.id);
        }
        Ok(message)
    }

    async fn after(&self, room: &RoomName, after: i64, history: History) -> Result<Vec<Message>> {
        messages::after(&self.pool, room, after, history).await
    }

    async fn standing(&self, room: &RoomName) -> Result<(i64, i64)> {
        messages::standing(&self.pool, room).await
    }

    async fn heads(&self, rooms: &[RoomName]) -> Result<Vec<(RoomName, i64)>> {
        messages::heads(&self.pool, rooms).await
    }

    async fn message(&self, room: &RoomName, id: i64) -> Result<Option<Message>> {
        messages::message(&self.pool, room, id).await
    }

    async fn delete(&self, room: &RoomName, id: i64) -> Result<bool> {
        messages::delete(&self.pool, room, id).await
    }

    async fn prune(&self, history: History) -> Result<u64> {
        readers::prune(&self.pool).await?;
        messages::prune(&self.pool, history).await
    }

    async fn leave(&self, room: &RoomName, user: UserId) -> Result<Leave> {
        readers::leave(&self.pool, room, user).await
    }

    async fn leaves(&self, after: Option<i64>) -> Result<Vec<Leave>> {
        readers::leaves(&self.pool, after).await
    }

    async fn report(
        &self,
        process: Uuid,
        came: &[(RoomName, Person)],
        went: &[(RoomName, UserId)],
    ) -> Result<bool> {
        readers::report(&self.pool, process, came, went).await
    }

    async fn retire(&self, process: Uuid) -> Result<()> {
        readers::retire(&self.pool, process).await
    }

    async fn present(&self, room: &RoomName, besides: Uuid) -> Result<Vec<Person>> {
        readers::present(&self.pool, room, besides).await
    }

    fn signals(&self) -> mpsc::Receiver<Signal> {
        let notified = listen(self.session.clone(), "listen room_signal", SIGNALS, Signal::Anything, signal);
        match &self.wire {
            Some(wire) => both(notified, wire.hear()),
            None => notified,
        }
    }
}

/// Until one of the two ends, or nobody listens any more.
fn both(mut one: mpsc::Receiver<Signal>, mut other: mpsc::Receiver<Signal>) -> mpsc::Receiver<Signal> {
    let (tell, heard) = mpsc::channel(SIGNALS);
    tokio::spawn(async move {
        loop {
            let signal = tokio::select! {
                signal = one.recv() => signal,
                signal = other.recv() => signal,
                () = tell.closed() => None,
            };
            let Some(signal) = signal else { return };
            if tell.send(signal).await.is_err() {
                return;
            }
        }
    });
    heard
}

/// `posted ROOM NUMBER`, or `left NUMBER ROOM USER`: no part has a blank in it.
fn signal(payload: &str) -> Option<Signal> {
    let words: Vec<&str> = payload.split(' ').collect();
    match words.as_slice() {
        ["posted", room, number] => Some(Signal::Posted(RoomName::parse(room).ok()?, number.parse().ok()?)),
        ["left", number, room, user] => Some(Signal::Left(Leave {
            number: number.parse().ok()?,
            room: RoomName::parse(room).ok()?,
            user: UserId::parse(user)?,
        })),
        _ => None,
    }
}

fn room_name(row: &Row) -> Result<RoomName> {
    RoomName::parse(column(row, "room")?).map_err(Error::internal)
}

fn kind(row: &Row, name: &str) -> Result<PersonKind> {
    let kind: &str = column(row, name)?;
    PersonKind::parse(kind).ok_or_else(|| Error::internal(format!("stored kind of person {kind} is unknown")))
}
