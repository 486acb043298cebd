//! One room as this process sees it: what was said last, and who reads.
//!
//! All readers share one tail of the room and each keeps its place in it, so a message costs its size once and a
//! reader who stands still costs nothing more.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::store::Leave;
use super::{Message, Person, RoomName};
use crate::UserId;

/// What may wait for a reader, in bytes; one who has not read so much loses its place.
pub const BUFFER_BYTES: u64 = 64 * 1024;

/// A message as it is sent, made once for all readers.
#[derive(Debug)]
pub struct Line {
    pub id: i64,
    /// The message as JSON, without an end of line.
    pub json: String,
}

impl Line {
    pub fn of(message: &Message) -> Arc<Self> {
        let json = serde_json::to_string(message).expect("numbers, texts and times are always JSON");
        Arc::new(Self { id: message.id, json })
    }
}

/// A reader's chair.
pub(super) struct Seat {
    pub person: Person,
    /// The last leave before this reader came: it and those before it are not meant for this seat.
    since: i64,
    /// Here for as long as they are in the lab, and not by their role.
    member: bool,
    /// They were not in the lab when it was last looked.
    missed: AtomicBool,
    /// How far this reader has read, in bytes of the room.
    read: AtomicU64,
    ended: AtomicBool,
    pub wake: Notify,
}

impl Seat {
    pub fn ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.wake.notify_one();
    }
}

pub(super) struct LiveRoom {
    pub name: RoomName,
    /// Something is there to be read from the store, or nobody reads any more.
    pub nudge: Notify,
    state: Mutex<State>,
}

struct State {
    /// The last messages, each with the room's size in bytes behind it.
    tail: VecDeque<(Arc<Line>, u64)>,
    /// Every message after this one, up to `head`, is in the tail or deleted.
    floor: i64,
    /// What was published.
    head: i64,
    /// What is known to be in the store.
    target: i64,
    /// What another process said is in the store. It may be wrong about it.
    hinted: i64,
    size: u64,
    seats: HashMap<u64, Arc<Seat>>,
}

/// How far a room is read from the store.
#[derive(Clone, Copy)]
pub(super) struct Progress {
    /// Up to where it was published.
    pub head: i64,
    target: i64,
    hinted: i64,
}

impl Progress {
    /// Whether there is more, as far as is known.
    pub fn is_behind(self) -> bool {
        self.head < self.target.max(self.hinted)
    }
}

/// What a reader finds.
pub(super) enum Found {
    Lines(Vec<Arc<Line>>),
    Nothing,
    /// What comes next is no longer in the tail.
    Behind {
        floor: i64,
    },
}

impl LiveRoom {
    /// `head` is the highest number in the store.
    pub fn new(name: RoomName, head: i64) -> Self {
        let state = State {
            tail: VecDeque::new(),
            floor: head,
            head,
            target: head,
            hinted: head,
            size: 0,
            seats: HashMap::new(),
        };
        Self { name, nudge: Notify::new(), state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn sit(&self, key: u64, person: Person, member: bool, since: i64) -> Arc<Seat> {
        let mut state = self.state();
        let seat = Arc::new(Seat {
            person,
            since,
            member,
            missed: AtomicBool::new(false),
            read: AtomicU64::new(state.size),
            ended: AtomicBool::new(false),
            wake: Notify::new(),
        });
        state.seats.insert(key, seat.clone());
        seat
    }

    /// Whether nobody is left.
    pub fn stand_up(&self, key: u64) -> bool {
        let mut state = self.state();
        state.seats.remove(&key);
        state.seats.is_empty()
    }

    /// The store has messages up to this number.
    pub fn reaches(&self, number: i64) {
        let mut state = self.state();
        if number > state.target {
            state.target = number;
            self.nudge.notify_one();
        }
    }

    /// The store may have messages up to this number: it is worth a look.
    pub fn hint(&self, number: i64) {
        let mut state = self.state();
        if number > state.head.max(state.hinted) {
            state.hinted = number;
            self.nudge.notify_one();
        }
    }

    pub fn progress(&self) -> Progress {
        let state = self.state();
        Progress { head: state.head, target: state.target, hinted: state.hinted }
    }

    /// Hands a page from the store to all readers. An empty page means that what lies up to the target there was is
    /// deleted, and that the hint there was told of nothing.
    pub fn publish(&self, page: Vec<Arc<Line>>, before: Progress) {
        let mut state = self.state();
        let Some(last) = page.last().map(|line| line.id) else {
            state.head = state.head.max(before.target);
            if state.hinted == before.hinted {
                state.hinted = state.head;
            }
            return;
        };
        // Before the page is added: one large page must not cost those their place who had read all.
        let oldest = state.size.saturating_sub(BUFFER_BYTES);
        while state.tail.front().is_some_and(|(_, end)| *end <= oldest) {
            if let Some((line, _)) = state.tail.pop_front() {
                state.floor = line.id;
            }
        }
        state.seats.retain(|_, seat| {
            let keeps = seat.read.load(Ordering::Acquire) >= oldest;
            if !keeps {
                seat.end();
            }
            keeps
        });
        for line in page {
            state.size += line.json.len() as u64 + 1;
            let end = state.size;
            state.tail.push_back((line, end));
        }
        state.head = last;
        state.target = state.target.max(last);
        state.seats.values().for_each(|seat| seat.wake.notify_one());
    }

    /// What comes after message `after`, as much of it as a reader can have at once.
    pub fn take(&self, seat: &Seat, after: i64) -> Found {
        let state = self.state();
        if after < state.floor {
            return Found::Behind { floor: state.floor };
        }
        let begin = state.tail.partition_point(|(line, _)| line.id <= after);
        let mut bytes = 0;
        let mut lines = Vec::new();
        for (line, end) in state.tail.range(begin..) {
            bytes += line.json.len();
            if !lines.is_empty() && bytes as u64 > BUFFER_BYTES {
                break;
            }
            seat.read.store(*end, Ordering::Release);
            lines.push(line.clone());
        }
        if lines.is_empty() {
            seat.read.store(state.size, Ordering::Release);
            return Found::Nothing;
        }
        Found::Lines(lines)
    }

    /// A reader reads from the store: it is slow, but it moves.
    pub fn moves(&self, seat: &Seat) {
        seat.read.store(self.state().size, Ordering::Release);
    }

    /// Ends the streams that a user had when they left.
    pub fn end(&self, leave: &Leave) {
        self.state().seats.retain(|_, seat| {
            let stays = seat.person.id != leave.user || seat.since >= leave.number;
            if !stays {
                seat.end();
            }
            stays
        });
    }

    /// Whoever reads because they are in the lab.
    pub fn members(&self) -> Vec<UserId> {
        let state = self.state();
        let members = state.seats.values().filter(|seat| seat.member).map(|seat| seat.person.id);
        members.collect::<HashSet<_>>().into_iter().collect()
    }

    /// Ends the streams of members who were in the lab neither now nor at the look before: a lab that is built anew
    /// has nobody in it for a moment.
    pub fn dismiss_but(&self, present: &HashSet<UserId>) {
        self.state().seats.retain(|_, seat| {
            let missing = seat.member && !present.contains(&seat.person.id);
            let gone = seat.missed.swap(missing, Ordering::AcqRel) && missing;
            if gone {
                seat.end();
            }
            !gone
        });
    }

    pub fn people(&self) -> Vec<Person> {
        self.state().seats.values().map(|seat| seat.person.clone()).collect()
    }
}
