//! How a step failed, in the words of each way.

use super::Cause;
use crate::flows::outcome::Reason;

/// How a step failed.
pub struct Failure {
    pub reason: Reason,
    pub clean: bool,
    pub cause: Cause,
    pub unknown: bool,
}

impl Failure {
    pub fn new(reason: Reason) -> Self {
        Self { reason, clean: false, cause: Cause::Failure, unknown: false }
    }

    pub fn clean(reason: Reason) -> Self {
        Self { clean: true, ..Self::new(reason) }
    }

    pub fn timed_out(reason: Reason) -> Self {
        Self { cause: Cause::Timeout, ..Self::new(reason) }
    }

    pub fn unknown(reason: Reason) -> Self {
        Self { unknown: true, ..Self::new(reason) }
    }

    pub fn cancelled() -> Self {
        let reason = Reason::new("step.cancelled", "the run was cancelled while this step was under way");
        Self { cause: Cause::Cancel, ..Self::new(reason) }
    }

    pub fn abandoned() -> Self {
        let detail = "it was told to stop, did not end, and was left behind by force";
        Self { cause: Cause::Cancel, ..Self::unknown(Reason::new("step.abandoned", detail)) }
    }

    pub fn host_lost() -> Self {
        let detail = "its machine is gone, and what it did there was given up by force";
        Self { cause: Cause::Cancel, ..Self::unknown(Reason::new("step.host_lost", detail)) }
    }
}
