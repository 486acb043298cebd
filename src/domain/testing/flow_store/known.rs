//! A process, as the store knows it.

use std::time::Duration;

use jiff::Timestamp;

use crate::flows::store::Worker;

pub(super) struct Known {
    pub(super) worker: Worker,
    pub(super) renewed: Option<Timestamp>,
}

impl Known {
    /// Since it was last heard of.
    pub(super) fn age(&self) -> Option<Duration> {
        self.renewed.map(|at| Duration::try_from(crate::clock::now().duration_since(at)).unwrap_or_default())
    }

    pub(super) fn is_alive(&self, lost_after: Duration) -> bool {
        self.age().is_some_and(|age| age <= lost_after)
    }
}
