//! Where each step of a run's definition is, and which may still come.

use std::collections::BTreeSet;

use super::{Run, RunStatus};
use crate::flows::definition::Route;
use crate::flows::step::StepStatus;

impl Run {
    /// Where the step at this position of the definition is, reached or not.
    pub fn step_status(&self, index: usize) -> StepStatus {
        match self.last_attempt(index) {
            // A failed attempt that will be repeated is not the step's end.
            Some(step) if step.status == StepStatus::Failed && self.head.cursor == Some(index) => {
                StepStatus::Waiting
            }
            Some(step) => step.status,
            None if self.head.cursor == Some(index) && self.head.status == RunStatus::Running => {
                StepStatus::Running
            }
            None if self.head.cursor.is_some_and(|cursor| self.may_reach(cursor, index)) => {
                StepStatus::Pending
            }
            None => StepStatus::Skipped,
        }
    }

    fn may_reach(&self, from: usize, to: usize) -> bool {
        let mut open = vec![from];
        let mut seen = BTreeSet::new();
        while let Some(step) = open.pop() {
            if step == to {
                return true;
            }
            for succeeded in [true, false] {
                if let Route::Step(next) = self.definition.route(step, succeeded)
                    && seen.insert(next)
                {
                    open.push(next);
                }
            }
        }
        false
    }
}
