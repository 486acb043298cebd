//! When a session's time is over.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::LabLimits;

/// A session's clock. It starts when the session is handed over to its learner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionTime {
    /// All in seconds, as the lab had them when the session began; the total grows by what it is extended by.
    pub idle_s: i64,
    pub total_s: i64,
    pub warn_s: i64,
    pub extend_s: i64,
    pub extensions_left: i32,
    /// When it was handed over.
    pub ready_at: Option<Timestamp>,
    /// The last call of its owner.
    pub seen_at: Option<Timestamp>,
    pub ending: Option<Ending>,
}

/// Why a session's time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Nobody used it for too long.
    Idle,
    /// It has had all its time.
    Total,
}

impl Ending {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Total => "total",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        [Self::Idle, Self::Total].into_iter().find(|ending| ending.as_str() == name)
    }

    /// Of a session that ends by this, in words.
    pub fn because(self) -> &'static str {
        match self {
            Self::Idle => "nobody uses it",
            Self::Total => "its time is over",
        }
    }
}

impl SessionTime {
    pub fn of(limits: &LabLimits) -> Self {
        let seconds = |seconds: u64| i64::try_from(seconds).unwrap_or(i64::MAX);
        Self {
            idle_s: seconds(limits.idle_s),
            total_s: seconds(limits.total_s),
            // Whoever is warned at once is not warned at all.
            warn_s: seconds(limits.warn_s.min(limits.idle_s / 2).min(limits.total_s / 2)),
            extend_s: seconds(limits.extend_s),
            extensions_left: i32::try_from(limits.extensions).unwrap_or(i32::MAX),
            ready_at: None,
            seen_at: None,
            ending: None,
        }
    }

    /// When it will be over if nothing happens until then, and by what.
    pub fn end(&self) -> Option<(Timestamp, Ending)> {
        let (ready, seen) = (self.ready_at?, self.seen_at.or(self.ready_at)?);
        let after = |from: Timestamp, seconds: i64| {
            from.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
        };
        let (idle, total) = (after(seen, self.idle_s), after(ready, self.total_s));
        Some(if idle < total { (idle, Ending::Idle) } else { (total, Ending::Total) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_starts_at_the_hand_over_and_the_first_of_two_ends_counts() {
        let limits = LabLimits { idle_s: 100, total_s: 150, warn_s: 300, ..LabLimits::default() };
        let mut time = SessionTime::of(&limits);
        assert_eq!((time.warn_s, time.end()), (50, None));
        let at = |second| Timestamp::from_second(second).unwrap();
        time.ready_at = Some(at(1000));
        assert_eq!(time.end(), Some((at(1100), Ending::Idle)));
        time.seen_at = Some(at(1060));
        assert_eq!(time.end(), Some((at(1150), Ending::Total)));
        time.total_s += 30;
        assert_eq!(time.end(), Some((at(1160), Ending::Idle)));
    }
}
