//! Backward: taking a started step back, as durably as it was done.

use std::time::Instant;

use super::attempt::{Call, Ended};
use super::bounds::clean;
use super::step::{backoff, is_outage, policy_of};
use super::{Engine, Halt, is_to_blame};
use crate::CancelSignal;
use crate::clock;
use crate::flows::meters::StepEnd;
use crate::flows::outcome::{Outcome, Reason};
use crate::flows::run::Run;

/// An undo is tried at least this often, whatever the task's policy says: giving up leaves work for an operator.
const LEAST_ATTEMPTS: u32 = 3;

impl Engine {
    /// Takes back the step at this position of the ledger. A cancel does not reach it: it is what a cancel asks for.
    pub(super) async fn undo(&self, run: &mut Run, position: usize) -> Result<(), Halt> {
        let Some(registered) = self.registry.get(&run.steps[position].task) else {
            let reason = Reason::new(
                "task.unknown",
                format!("this process has no task {:?}", run.steps[position].task),
            );
            run.fail_undo(position, reason, None, clock::now());
            return self.settle(run).await;
        };
        let task = registered.task.clone();
        if is_to_blame(run, task.as_ref()) {
            let detail =
                format!("{} processes died while this step was being taken back", run.head.takeovers);
            run.fail_undo(position, Reason::new("step.crashes_process", detail), None, clock::now());
            return self.settle(run).await;
        }
        let policy = policy_of(run, position, task.as_ref());
        run.start_undo(position, clock::now());
        // It may be another than the step's, which was given up by force.
        if task.pins_host() {
            run.pin(&self.worker.host_id);
        }
        self.save(run, None).await?;

        let input = self.real_input(run, position).await;
        let slot = self.slots.acquire().await;
        let begun = Instant::now();
        let ended = match input {
            Ok(input) => {
                let call = Call::Undo(task, input, run.steps[position].output.clone());
                self.attempt(run, position, call, policy, &CancelSignal::new()).await?
            }
            Err(error) => {
                Ended::Outcome(Outcome::Retry { reason: Reason::new(error.code, error.public), after: None })
            }
        };
        drop(slot);
        let end = match ended {
            Ended::Outcome(Outcome::Done(_)) => StepEnd::Undone,
            Ended::Parked => StepEnd::Parked,
            _ => StepEnd::UndoFailed,
        };
        self.count_step(run, position, end, begun);

        let step = &run.steps[position];
        let attempt = step.undo_attempt;
        let (reason, after) = match ended {
            Ended::Outcome(Outcome::Done(_)) => {
                log::info!("run={} step={} task={} undone", run.id, step.name, step.task);
                run.finish_undo(position, clock::now());
                return self.settle(run).await;
            }
            Ended::Parked => return Err(self.park(run).await),
            Ended::Outcome(Outcome::Retry { reason, after }) => (reason, after),
            Ended::Outcome(Outcome::Fail(reason) | Outcome::FailClean(reason)) => (reason, None),
            Ended::Outcome(Outcome::WaitUntil(_)) => {
                (Reason::new("task.undo_waits", "an undo cannot wait"), None)
            }
            Ended::TimedOut => (Reason::new("task.timed_out", "the undo did not answer in time"), None),
            Ended::Panicked => {
                (Reason::new("task.panicked", "the undo crashed; the log has the cause"), None)
            }
            Ended::Cancelled | Ended::Abandoned => {
                (Reason::new("task.undo_dropped", "the undo was dropped before it ended"), None)
            }
        };
        log::warn!(
            "run={} step={} task={} undo attempt={attempt} failed: {reason}",
            run.id,
            step.name,
            step.task
        );
        let now = clock::now();
        let left = attempt < policy.attempts.max(LEAST_ATTEMPTS) || is_outage(&reason);
        let again = left.then(|| now + backoff(policy, attempt).max(after.unwrap_or_default()));
        run.fail_undo(position, clean(reason), again, now);
        self.settle(run).await
    }
}
