//! The time as it is stored.

use jiff::Timestamp;

/// Now, in whole microseconds: what PostgreSQL keeps, so that a run reads the same from memory and from the database.
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}
