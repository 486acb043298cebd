//! Child programs, counted.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use async_trait::async_trait;
use flow_domain::meters::{Counter, Family, Meters, Reading};

use super::ChildPrograms;

#[derive(Default)]
pub(super) struct ChildMeters {
    followed: AtomicU64,
    started: Counter,
}

/// Until it is dropped, a program is followed.
pub(super) struct Followed<'a>(&'a AtomicU64);

impl ChildMeters {
    pub(super) fn follow(&self, started: bool) -> Followed<'_> {
        self.started.add(started.into());
        self.followed.fetch_add(1, Relaxed);
        Followed(&self.followed)
    }
}

impl Drop for Followed<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[async_trait]
impl Meters for ChildPrograms {
    async fn read(&self) -> Vec<Family> {
        let followed = Reading::Gauge(self.meters.followed.load(Relaxed) as f64);
        vec![
            Family::of_one("child_programs", "Child programs that this process follows", followed),
            Family::of_one(
                "child_programs_started",
                "Child programs that this process started",
                self.meters.started.reading(),
            ),
        ]
    }
}
