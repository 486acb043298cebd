//! The time as it is stored.

use std::cell::Cell;

use jiff::Timestamp;
use tokio::time::Instant;

thread_local! {
    /// In a test: the time at which this thread's clock began, and how far it is since.
    static MADE_UP: Cell<Option<(Timestamp, Instant)>> = const { Cell::new(None) };
}

/// Now, in whole microseconds: what PostgreSQL keeps, so that a run reads the same from memory and from the database.
pub fn now() -> Timestamp {
    let now = match MADE_UP.get() {
        None => Timestamp::now(),
        Some((began, since)) => began + since.elapsed(),
    };
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}

/// For tests: from here on it is `began` on this thread, and time goes on as tokio's does. In a runtime whose clock is
/// paused that is at once to the next time that somebody waits for.
pub fn make_up(began: Timestamp) {
    MADE_UP.set(Some((began, Instant::now())));
}
