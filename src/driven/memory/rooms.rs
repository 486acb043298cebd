//! Rooms. Any number of processes may share it: what one tells, all hear.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Mutex;

use async_trait::async_trait;
use flow_domain::rooms::{
    History, Leave, Message, PAGE_BYTES, PAGE_MESSAGES, Person, RoomName, RoomStore, Signal, Text,
};
use flow_domain::{Result, UserId, clock};
use jiff::Timestamp;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::lock;

/// Signals that wait for a listener; more are lost, as they may be.
const SIGNALS: usize = 1024;

#[derive(Default)]
struct Room {
    head: i64,
    messages: BTreeMap<i64, Message>,
}

#[derive(Default)]
struct Kept {
    rooms: HashMap<RoomName, Room>,
    leaves: Vec<Leave>,
    processes: HashMap<Uuid, HashSet<(RoomName, Person)>>,
    listeners: Vec<mpsc::Sender<Signal>>,
}

#[derive(Default)]
pub struct MemoryRoomStore {
    kept: Mutex<Kept>,
}

impl Kept {
    fn tell(&mut self, signal: &Signal) {
        self.listeners.retain(|listener| !listener.is_closed());
        self.listeners.iter().for_each(|listener| drop(listener.try_send(signal.clone())));
    }
}

/// The highest number that is no longer of the history, and the time up to which nothing is.
fn bounds(head: i64, history: History) -> (i64, Timestamp) {
    let oldest = clock::now().checked_sub(history.age).unwrap_or(Timestamp::MIN);
    (head.saturating_sub(history.messages.into()), oldest)
}

#[async_trait]
impl RoomStore for MemoryRoomStore {
    async fn post(&self, room: &RoomName, from: &Person, text: &Text) -> Result<Message> {
        let mut kept = lock(&self.kept);
        let there = kept.rooms.entry(room.clone()).or_default();
        there.head += 1;
        let id = there.head;
        let (from, text) = (from.clone(), text.as_str().to_owned());
        let message = Message { id, room: room.clone(), from, text, at: clock::now() };
        there.messages.insert(id, message.clone());
        kept.tell(&Signal::Posted(room.clone(), id));
        Ok(message)
    }

    async fn after(&self, room: &RoomName, after: i64, history: History) -> Result<Vec<Message>> {
        let kept = lock(&self.kept);
        let Some(there) = kept.rooms.get(room) else { return Ok(Vec::new()) };
        let (floor, oldest) = bounds(there.head, history);
        let later = there.messages.range(after.max(floor).saturating_add(1)..).map(|(_, message)| message);
        let mut bytes = 0;
        let fits = |message: &&Message| {
            let first = bytes == 0;
            bytes += message.text.len();
            first || bytes <= PAGE_BYTES
        };
        let page = later.filter(|message| message.at > oldest).take(PAGE_MESSAGES).take_while(fits);
        Ok(page.cloned().collect())
    }

    async fn standing(&self, room: &RoomName) -> Result<(i64, i64)> {
        let kept = lock(&self.kept);
        let head = kept.rooms.get(room).map_or(0, |there| there.head);
        Ok((head, kept.leaves.last().map_or(0, |leave| leave.number)))
    }

    async fn heads(&self, rooms: &[RoomName]) -> Result<Vec<(RoomName, i64)>> {
        let kept = lock(&self.kept);
        let head = |name: &RoomName| Some((name.clone(), kept.rooms.get(name)?.head));
        Ok(rooms.iter().filter_map(head).collect())
    }

    async fn message(&self, room: &RoomName, id: i64) -> Result<Option<Message>> {
        Ok(lock(&self.kept).rooms.get(room).and_then(|there| there.messages.get(&id)).cloned())
    }

    async fn delete(&self, room: &RoomName, id: i64) -> Result<bool> {
        let mut kept = lock(&self.kept);
        Ok(kept.rooms.get_mut(room).is_some_and(|there| there.messages.remove(&id).is_some()))
    }

    async fn prune(&self, history: History) -> Result<u64> {
        let mut deleted = 0;
        for room in lock(&self.kept).rooms.values_mut() {
            let (floor, oldest) = bounds(room.head, history);
            let before = room.messages.len();
            room.messages.retain(|id, message| *id > floor && message.at > oldest);
            deleted += before - room.messages.len();
        }
        Ok(deleted as u64)
    }

    async fn leave(&self, room: &RoomName, user: UserId) -> Result<Leave> {
        let mut kept = lock(&self.kept);
        let number = kept.leaves.last().map_or(0, |leave| leave.number) + 1;
        let leave = Leave { number, room: room.clone(), user };
        kept.leaves.push(leave.clone());
        kept.tell(&Signal::Left(leave.clone()));
        Ok(leave)
    }

    async fn leaves(&self, after: Option<i64>) -> Result<Vec<Leave>> {
        let kept = lock(&self.kept);
        Ok(match after {
            Some(after) => kept.leaves.iter().filter(|leave| leave.number > after).cloned().collect(),
            None => kept.leaves.last().cloned().into_iter().collect(),
        })
    }

    async fn report(
        &self,
        process: Uuid,
        came: &[(RoomName, Person)],
        went: &[(RoomName, UserId)],
    ) -> Result<bool> {
        let mut kept = lock(&self.kept);
        let unknown = !kept.processes.contains_key(&process);
        let people = kept.processes.entry(process).or_default();
        people.retain(|(room, person)| !went.contains(&(room.clone(), person.id)));
        people.extend(came.iter().cloned());
        Ok(unknown)
    }

    async fn retire(&self, process: Uuid) -> Result<()> {
        lock(&self.kept).processes.remove(&process);
        Ok(())
    }

    async fn present(&self, room: &RoomName, besides: Uuid) -> Result<Vec<Person>> {
        let kept = lock(&self.kept);
        let others = kept.processes.iter().filter(|(process, _)| **process != besides);
        let there = others.flat_map(|(_, people)| people).filter(|(name, _)| name == room);
        Ok(there.map(|(_, person)| person.clone()).collect())
    }

    fn signals(&self) -> mpsc::Receiver<Signal> {
        let (tell, heard) = mpsc::channel(SIGNALS);
        lock(&self.kept).listeners.push(tell);
        heard
    }
}
