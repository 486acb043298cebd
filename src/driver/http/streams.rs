//! How many may watch at once. Whoever watches holds a connection and a little memory for as long as they please, so
//! that their number is the one bound on both.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use flow_domain::{Error, Kind, UserId};

/// A place may be free again this soon, in seconds.
const TRY_AGAIN_S: u64 = 10;

#[derive(Clone, Copy, Debug)]
pub struct StreamSettings {
    /// Open at once by one caller.
    pub per_caller: usize,
    /// Open at once in this process.
    pub in_all: usize,
    /// A reader who takes nothing for this long, while there is something, is cut off.
    pub stall: Duration,
}

/// The places there are for streams and waiting polls.
pub struct Streams {
    settings: StreamSettings,
    taken: Mutex<HashMap<UserId, usize>>,
}

/// One place, free again when dropped.
pub(super) struct Seat {
    streams: Arc<Streams>,
    caller: UserId,
}

impl Streams {
    pub fn new(settings: StreamSettings) -> Arc<Self> {
        Arc::new(Self { settings, taken: Mutex::default() })
    }

    /// Taken places.
    pub fn open(&self) -> usize {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }

    /// How long a reader may take nothing.
    pub(super) fn stall(&self) -> Duration {
        self.settings.stall
    }

    /// 429 when this caller has too many, 503 when all have.
    pub(super) fn seat(self: &Arc<Self>, caller: UserId) -> Result<Seat, Error> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let StreamSettings { per_caller, in_all, .. } = self.settings;
        let refused = |kind, code, public: String| Error {
            retry_after_s: Some(TRY_AGAIN_S),
            ..Error::new(kind, code, public)
        };
        if taken.get(&caller).is_some_and(|own| *own >= per_caller) {
            let public = format!("You have {per_caller} streams open, and one caller may have no more.");
            return Err(refused(Kind::TooMany, "stream.too_many", public));
        }
        if taken.values().sum::<usize>() >= in_all {
            let public = "As many streams are open as this service has room for.".to_owned();
            return Err(refused(Kind::Unavailable, "stream.none_free", public));
        }
        *taken.entry(caller).or_default() += 1;
        Ok(Seat { streams: self.clone(), caller })
    }
}

impl Seat {
    /// How long its reader may take nothing.
    pub(super) fn stall(&self) -> Duration {
        self.streams.stall()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.streams.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = taken.get_mut(&self.caller) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn streams(per_caller: usize, in_all: usize) -> Arc<Streams> {
        Streams::new(StreamSettings { per_caller, in_all, stall: Duration::from_secs(1) })
    }

    fn code(refused: Result<Seat, Error>) -> (Kind, &'static str) {
        let error = refused.err().unwrap();
        assert_eq!(error.retry_after_s, Some(TRY_AGAIN_S));
        (error.kind, error.code)
    }

    #[test]
    fn one_caller_who_takes_all_they_may_leaves_room_for_others() {
        let streams = streams(2, 3);
        let (ann, ben, cem) = (UserId::new(), UserId::new(), UserId::new());
        let (first, _second) = (streams.seat(ann).unwrap(), streams.seat(ann).unwrap());
        assert_eq!(code(streams.seat(ann)), (Kind::TooMany, "stream.too_many"));
        let _bens = streams.seat(ben).unwrap();
        assert_eq!(code(streams.seat(cem)), (Kind::Unavailable, "stream.none_free"));
        drop(first);
        drop(streams.seat(cem).unwrap());
        let _again = streams.seat(ann).unwrap();
        assert_eq!(streams.taken.lock().unwrap().len(), 2, "who has none is forgotten");
    }
}
