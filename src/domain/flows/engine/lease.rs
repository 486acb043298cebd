//! The process's lease: renewed each second, lost to others after five.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// How often a process renews.
pub const RENEW_EVERY: Duration = Duration::from_secs(1);
/// How long a process that does not renew is believed to live, by the store's clock.
pub const LOST_AFTER: Duration = Duration::from_secs(5);
/// A process that has not renewed for this long, by its own monotonic clock, starts nothing: one second before the
/// others may take its runs.
const DOUBTFUL_AFTER: Duration = Duration::from_secs(4);

/// Since when the lease has been renewed without a gap, and when last.
#[derive(Clone, Copy)]
struct Held {
    since: Instant,
    last: Instant,
}

pub struct Lease {
    held: watch::Sender<Option<Held>>,
}

impl Default for Lease {
    fn default() -> Self {
        Self { held: watch::Sender::new(None) }
    }
}

impl Lease {
    /// The store took a renewal that was sent at `sent`.
    pub fn renewed(&self, sent: Instant) {
        self.held.send_modify(|held| {
            let since = match held {
                Some(held) if sent.duration_since(held.last) < LOST_AFTER => held.since,
                _ => sent,
            };
            *held = Some(Held { since, last: sent });
        });
    }

    /// Whether the process may start something now.
    pub fn is_held(&self) -> bool {
        self.held.borrow().is_some_and(|held| held.last.elapsed() < DOUBTFUL_AFTER)
    }

    /// Waits until the process may start something.
    pub async fn held(&self) {
        let mut renewals = self.held.subscribe();
        while !self.is_held() {
            if renewals.changed().await.is_err() {
                return;
            }
        }
    }

    /// After an outage every lease looks lost: a process judges others only once it has renewed for as long as it
    /// takes to lose a lease.
    pub fn may_judge(&self) -> bool {
        self.is_held() && self.held.borrow().is_some_and(|held| held.since.elapsed() >= LOST_AFTER)
    }
}
