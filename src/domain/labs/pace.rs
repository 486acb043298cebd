//! How long labs take to build and to take down, as earlier runs of the same version took.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;

use crate::Result;

/// Fewer runs than this say nothing about how long the next one takes.
pub const RUNS_TO_TELL: u32 = 5;

/// A lab as it was at some time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LabVersion {
    pub lab: String,
    pub version: String,
}

/// Which of the two is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Work {
    Apply,
    Destroy,
}

impl Work {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "apply",
            Self::Destroy => "destroy",
        }
    }
}

/// One object that was made, changed or removed.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectTime {
    /// Terraform's address: `module.net.null_resource.a[0]`.
    pub address: String,
    /// The resource's type: `null_resource`.
    pub kind: String,
    /// `create`, `update`, `delete` or `read`.
    pub action: String,
    pub took: Duration,
}

/// What there is to know of earlier runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pace {
    /// How many runs this is drawn from.
    pub runs: u32,
    /// Half of the runs took no longer.
    pub half: Duration,
    /// Nineteen of twenty runs took no longer.
    pub nearly_all: Duration,
    /// Medians, by action and address.
    pub objects: BTreeMap<(String, String), Duration>,
    /// Medians, by action and type.
    pub kinds: BTreeMap<(String, String), Duration>,
}

impl Pace {
    /// How long such an object took before, or others of its type.
    pub fn of(&self, action: &str, address: &str, kind: &str) -> Option<Duration> {
        let key = |what: &str| (action.to_owned(), what.to_owned());
        self.objects.get(&key(address)).or_else(|| self.kinds.get(&key(kind))).copied()
    }

    /// What may be left after this much, from and to; none while too few runs are known.
    pub fn left(&self, elapsed: Duration) -> Option<(Duration, Duration)> {
        let left = (self.half.saturating_sub(elapsed), self.nearly_all.saturating_sub(elapsed));
        (self.runs >= RUNS_TO_TELL).then_some(left)
    }
}

/// Where the times are kept.
#[async_trait]
pub trait LabTimes: Send + Sync {
    /// Adds a run that went well. Old ones may be forgotten.
    async fn add(&self, of: &LabVersion, work: Work, took: Duration, objects: &[ObjectTime]) -> Result<()>;
    /// What is known; nothing of a version that was never run.
    async fn pace(&self, of: &LabVersion, work: Work) -> Result<Pace>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_goes_by_its_own_median_and_else_by_its_types() {
        let key = |action: &str, what: &str| (action.to_owned(), what.to_owned());
        let pace = Pace {
            objects: [(key("create", "vm.a"), Duration::from_secs(3))].into(),
            kinds: [(key("create", "vm"), Duration::from_secs(5))].into(),
            ..Pace::default()
        };
        assert_eq!(pace.of("create", "vm.a", "vm"), Some(Duration::from_secs(3)));
        assert_eq!(pace.of("create", "vm.b", "vm"), Some(Duration::from_secs(5)));
        assert_eq!(pace.of("delete", "vm.a", "vm"), None);
    }

    #[test]
    fn what_is_left_is_told_from_five_runs_on_and_never_below_nothing() {
        let (half, nearly_all) = (Duration::from_secs(10), Duration::from_secs(30));
        let pace = |runs| Pace { runs, half, nearly_all, ..Pace::default() };
        assert_eq!(pace(4).left(Duration::ZERO), None);
        let left = pace(5).left(Duration::from_secs(12));
        assert_eq!(left, Some((Duration::ZERO, Duration::from_secs(18))));
        assert_eq!(pace(5).left(Duration::from_secs(99)), Some((Duration::ZERO, Duration::ZERO)));
    }
}
