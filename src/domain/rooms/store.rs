//! What rooms need of a database.

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{Message, Person, RoomName, Text};
use crate::{Result, UserId};

/// The most messages in one page.
pub const PAGE_MESSAGES: usize = 200;
/// The most text in one page, in bytes; a page has one message at least.
pub const PAGE_BYTES: usize = 64 * 1024;

/// How much of a room can be read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    /// The last so many numbers of a room.
    pub messages: u32,
    /// And of those the ones that are younger.
    pub age: Duration,
}

/// What one process tells the others. A hint: whoever misses one finds the same in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// A room has messages up to this number, says who may be wrong: the store is asked.
    Posted(RoomName, i64),
    /// Someone left a room, wherever they read it; with the number of that leave.
    Left(Leave),
    /// Anything may have happened: nobody was listening for a while.
    Anything,
}

/// Someone's wish that all their streams of a room end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leave {
    /// Higher than those before it.
    pub number: i64,
    pub room: RoomName,
    pub user: UserId,
}

/// Where rooms are kept. A room needs no making: it is there as long as it has messages.
#[async_trait]
pub trait RoomStore: Send + Sync {
    /// Stores a message and answers it once it is durable.
    ///
    /// Whoever can read number N of a room can read every number below it, or never will be able to: numbers are
    /// given out in the order in which messages become visible.
    async fn post(&self, room: &RoomName, from: &Person, text: &Text) -> Result<Message>;

    /// Messages after this number, in order, as far as the history goes: a page of them. An empty one says that
    /// there are no more.
    async fn after(&self, room: &RoomName, after: i64, history: History) -> Result<Vec<Message>>;

    /// The highest number given out in a room, and the last leave of any room; 0 for what there is none of.
    async fn standing(&self, room: &RoomName) -> Result<(i64, i64)>;

    /// The highest number given out in each of these rooms; those without messages are left out.
    async fn heads(&self, rooms: &[RoomName]) -> Result<Vec<(RoomName, i64)>>;

    async fn message(&self, room: &RoomName, id: i64) -> Result<Option<Message>>;

    /// Takes a message out of the history; `false` when it is not there.
    async fn delete(&self, room: &RoomName, id: i64) -> Result<bool>;

    /// Deletes what is beyond the history, and how many messages that were.
    async fn prune(&self, history: History) -> Result<u64>;

    /// Tells every process to end this user's streams of this room.
    async fn leave(&self, room: &RoomName, user: UserId) -> Result<Leave>;

    /// Leaves after this number, in order; with none, only the last there was.
    async fn leaves(&self, after: Option<i64>) -> Result<Vec<Leave>>;

    /// Says that this process is alive and who came into its rooms and who went. `true` when the store knew nothing
    /// of it, as at first and after a long silence: then all have to be told again.
    async fn report(
        &self,
        process: Uuid,
        came: &[(RoomName, Person)],
        went: &[(RoomName, UserId)],
    ) -> Result<bool>;

    /// This process ends, and nobody reads by it any more.
    async fn retire(&self, process: Uuid) -> Result<()>;

    /// Who reads a room by processes that are alive, but for this one.
    async fn present(&self, room: &RoomName, besides: Uuid) -> Result<Vec<Person>>;

    /// What other processes tell, and this one, from now on; listening ends when the receiver is dropped.
    fn signals(&self) -> mpsc::Receiver<Signal>;
}

/// Carries numbers of messages between processes, to spare the store. It may lose any, and be away.
#[async_trait]
pub trait Wire: Send + Sync {
    /// Says that a room has messages up to this number. `false` when it cannot have been heard, soon.
    async fn tell(&self, room: &RoomName, number: i64) -> bool;

    /// What is told from now on, [`Signal::Anything`] first and after each gap.
    fn hear(&self) -> mpsc::Receiver<Signal>;
}
