//! What was read for a watcher and not taken yet: a few events, bounded in number and bytes.
//!
//! While a reader stalls, Rocket does not poll the stream it writes from, so that no stream can notice by itself how
//! slow its reader is. The side that fills the backlog does, and empties it.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

const MOST_ENTRIES: usize = 200;
const MOST_BYTES: usize = 64 << 10;

/// How it goes on for the reader.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken<T> {
    Entry(T),
    /// All was taken, and no more comes.
    Over,
    /// The reader was too slow, and what it did not take is gone.
    Cut,
}

/// The reader took nothing for too long.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stalled;

pub(super) struct Backlog<T> {
    held: Mutex<Held<T>>,
    came: Notify,
    left: Notify,
}

struct Held<T> {
    entries: VecDeque<(T, usize)>,
    bytes: usize,
    over: bool,
    cut: bool,
}

impl<T> Backlog<T> {
    pub(super) fn new() -> Self {
        let held = Held { entries: VecDeque::new(), bytes: 0, over: false, cut: false };
        Self { held: Mutex::new(held), came: Notify::new(), left: Notify::new() }
    }

    /// Waits for room. An entry that is larger than all there is goes in alone. With `Stalled` everything is dropped.
    pub(super) async fn put(&self, entry: T, bytes: usize, stall: Duration) -> Result<(), Stalled> {
        let mut waiting = Some((entry, bytes));
        loop {
            {
                let mut held = self.lock();
                let room = held.entries.is_empty()
                    || (held.entries.len() < MOST_ENTRIES && held.bytes + bytes <= MOST_BYTES);
                if let Some(entry) = waiting.take_if(|_| room) {
                    held.bytes += bytes;
                    held.entries.push_back(entry);
                    self.came.notify_one();
                    return Ok(());
                }
            }
            // Each entry that leaves begins the time anew.
            if tokio::time::timeout(stall, self.left.notified()).await.is_err() {
                let mut held = self.lock();
                held.entries = VecDeque::new();
                held.cut = true;
                self.came.notify_one();
                return Err(Stalled);
            }
        }
    }

    /// No more comes.
    pub(super) fn end(&self) {
        self.lock().over = true;
        self.came.notify_one();
    }

    pub(super) async fn take(&self) -> Taken<T> {
        loop {
            {
                let mut held = self.lock();
                if held.cut {
                    return Taken::Cut;
                }
                if let Some((entry, bytes)) = held.entries.pop_front() {
                    held.bytes -= bytes;
                    self.left.notify_one();
                    return Taken::Entry(entry);
                }
                if held.over {
                    return Taken::Over;
                }
            }
            self.came.notified().await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Held<T>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_reader_gets_all_in_order_and_then_the_end() {
        let backlog = Backlog::new();
        let fill = async {
            for number in 0..1000 {
                backlog.put(number, 1000, LONG).await.unwrap();
                let held = backlog.lock();
                assert!(held.bytes <= MOST_BYTES && held.entries.len() <= MOST_ENTRIES);
            }
            backlog.end();
        };
        let read = async {
            for number in 0..1000 {
                assert_eq!(backlog.take().await, Taken::Entry(number));
            }
            assert_eq!(backlog.take().await, Taken::Over);
        };
        tokio::join!(fill, read);
    }

    #[tokio::test]
    async fn one_who_takes_nothing_is_cut_off_and_nothing_is_kept() {
        let backlog = Backlog::new();
        backlog.put(1, MOST_BYTES + 1, LONG).await.unwrap();
        assert_eq!(backlog.put(2, 1, Duration::from_millis(20)).await, Err(Stalled));
        assert!(backlog.lock().entries.is_empty());
        assert_eq!(backlog.take().await, Taken::Cut);
    }
}
