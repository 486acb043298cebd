//! All rooms that somebody reads by this process. One task a room fetches what is new, however many read.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::live::{Found, Line, LiveRoom, Seat};
use super::store::{History, RoomStore};
use super::{Person, RoomName};
use crate::Result;

/// Messages are handed out together when they come faster than this.
const JOINED_FOR: Duration = Duration::from_millis(50);
/// A store that is away is asked again after this long.
const ASK_AGAIN: Duration = Duration::from_millis(500);

pub(super) struct Hub {
    store: Arc<dyn RoomStore>,
    history: History,
    next_key: AtomicU64,
    /// Somebody came or went since this was last taken.
    changed: AtomicBool,
    rooms: Mutex<HashMap<RoomName, Arc<LiveRoom>>>,
}

impl Hub {
    pub fn new(store: Arc<dyn RoomStore>, history: History) -> Arc<Self> {
        Arc::new(Self {
            store,
            history,
            next_key: AtomicU64::new(0),
            changed: AtomicBool::new(false),
            rooms: Mutex::default(),
        })
    }

    fn rooms(&self) -> MutexGuard<'_, HashMap<RoomName, Arc<LiveRoom>>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A reader of what comes after message `after`, or after the last one there is. A member's place is lost with
    /// the membership.
    pub async fn open(
        self: &Arc<Self>,
        person: Person,
        member: bool,
        name: RoomName,
        after: Option<i64>,
    ) -> Result<Reader> {
        let (head, since) = self.store.standing(&name).await?;
        let key = self.next_key.fetch_add(1, Ordering::Relaxed);
        let (room, seat) = {
            let mut rooms = self.rooms();
            let room = rooms.entry(name.clone()).or_insert_with(|| {
                let room = Arc::new(LiveRoom::new(name, head));
                tokio::spawn(pump(self.clone(), room.clone()));
                room
            });
            (room.clone(), room.sit(key, person, member, since))
        };
        self.changed.store(true, Ordering::Release);
        // A number from beyond the end belongs to another time of this room.
        let after = after.map_or(head, |after| after.min(head));
        Ok(Reader { hub: self.clone(), room, seat, key, after })
    }

    pub fn room(&self, name: &RoomName) -> Option<Arc<LiveRoom>> {
        self.rooms().get(name).cloned()
    }

    pub fn all(&self) -> Vec<Arc<LiveRoom>> {
        self.rooms().values().cloned().collect()
    }

    /// Everyone who reads by this process, each once a room.
    pub fn everyone(&self) -> BTreeSet<(RoomName, Person)> {
        let people = |room: Arc<LiveRoom>| {
            let name = room.name.clone();
            room.people().into_iter().map(move |person| (name.clone(), person))
        };
        self.all().into_iter().flat_map(people).collect()
    }

    /// Whether somebody came or went since the last time it was asked.
    pub fn take_changed(&self) -> bool {
        self.changed.swap(false, Ordering::AcqRel)
    }

    pub fn set_changed(&self) {
        self.changed.store(true, Ordering::Release);
    }

    fn leave(&self, room: &Arc<LiveRoom>, key: u64) {
        let mut rooms = self.rooms();
        let left = room.stand_up(key);
        // A room of the same name may be a later one.
        if left && rooms.get(&room.name).is_some_and(|live| Arc::ptr_eq(live, room)) {
            rooms.remove(&room.name);
            room.nudge.notify_one();
        }
        self.changed.store(true, Ordering::Release);
    }

    fn is_live(&self, room: &Arc<LiveRoom>) -> bool {
        self.rooms().get(&room.name).is_some_and(|live| Arc::ptr_eq(live, room))
    }
}

/// Fetches what is new in a room for all its readers, until the last of them is gone.
async fn pump(hub: Arc<Hub>, room: Arc<LiveRoom>) {
    // What was posted while the first reader came has told nobody.
    let mut look = true;
    while hub.is_live(&room) {
        let progress = room.progress();
        if !progress.is_behind() && !look {
            room.nudge.notified().await;
            continue;
        }
        let begun = Instant::now();
        match hub.store.after(&room.name, progress.head, hub.history).await {
            Ok(page) => {
                look = false;
                room.publish(page.iter().map(Line::of).collect(), progress);
                tokio::time::sleep_until(begun + JOINED_FOR).await;
            }
            Err(_) => tokio::time::sleep(ASK_AGAIN).await,
        }
    }
}

/// One stream of a room. Dropping it leaves the room.
pub struct Reader {
    hub: Arc<Hub>,
    room: Arc<LiveRoom>,
    seat: Arc<Seat>,
    key: u64,
    after: i64,
}

impl Reader {
    /// The next messages, in order, without a gap and without a double. None when the reader was asked to go, or was
    /// so slow that it lost its place. May be dropped while it waits: nothing is lost.
    pub async fn next(&mut self) -> Option<Vec<Arc<Line>>> {
        loop {
            if self.seat.ended() {
                return None;
            }
            let lines = match self.room.take(&self.seat, self.after) {
                Found::Lines(lines) => lines,
                Found::Nothing => {
                    self.seat.wake.notified().await;
                    continue;
                }
                Found::Behind { floor } => self.read_store(floor).await,
            };
            if let Some(last) = lines.last() {
                self.after = last.id;
                return Some(lines);
            }
        }
    }

    async fn read_store(&mut self, floor: i64) -> Vec<Arc<Line>> {
        let hub = &self.hub;
        let Ok(page) = hub.store.after(&self.room.name, self.after, hub.history).await else {
            tokio::time::sleep(ASK_AGAIN).await;
            return Vec::new();
        };
        self.room.moves(&self.seat);
        if page.is_empty() {
            self.after = self.after.max(floor);
        }
        page.iter().map(Line::of).collect()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.hub.leave(&self.room, self.key);
    }
}
