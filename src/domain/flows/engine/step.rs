//! Forward: starting a step, going on with one, and what its end means.

use std::sync::Arc;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use serde_json::Value;

use super::attempt::{Call, Ended};
use super::bounds::{clean, conclude};
use super::{Engine, Halt, is_to_blame};
use crate::CancelSignal;
use crate::clock;
use crate::flows::meters::StepEnd;
use crate::flows::outcome::{Outcome, Reason};
use crate::flows::reference::{Root, walk};
use crate::flows::run::{Failure, Run};
use crate::flows::step::StepStatus;
use crate::flows::task::{Effect, Policy, Task};

impl Engine {
    /// Starts the step at this position of the definition.
    pub(super) async fn start(&self, run: &mut Run, index: usize, cancel: &CancelSignal) -> Result<(), Halt> {
        let definition = run.definition.clone();
        let step = &definition.tasks[index];
        let raw = step.input.clone().unwrap_or_else(|| Value::Object(Default::default()));
        let Some(registered) = self.registry.get(step.task_name()) else {
            let reason =
                Reason::new("task.unknown", format!("this process has no task {:?}", step.task_name()));
            return self.refuse_start(run, index, raw, reason).await;
        };
        let task = registered.task.clone();
        // A start that was not written, as it may be repeated, is seen by its takeovers alone.
        if is_to_blame(run, task.as_ref()) {
            let position = run.start_step(index, raw, task.undoable(), clock::now());
            return self.blame(run, position).await;
        }
        let secrets = match self.give(run, &raw).await {
            Ok(secrets) => secrets,
            Err(error) => {
                return self.refuse_start(run, index, raw, Reason::new(error.code, error.public)).await;
            }
        };
        // What is stored and shown has the secrets' names, what the task gets has their values.
        let resolved = run.scope(None).resolve(&raw).and_then(|shown| match secrets.is_empty() {
            true => Ok((shown, None)),
            false => run.scope(Some(&run.given)).resolve(&raw).map(|real| (shown, Some(real))),
        });
        let (shown, real) = match resolved {
            Ok(resolved) => resolved,
            Err(why) => {
                return self
                    .refuse_start(run, index, raw, Reason::new("step.reference_unresolved", why))
                    .await;
            }
        };
        if let Some(fault) = registered.faults(real.as_ref().unwrap_or(&shown), "").first() {
            let reason =
                Reason::new("task.input_invalid", format!("input{}: {}", fault.pointer, fault.detail));
            return self.refuse_start(run, index, shown, reason).await;
        }
        if run.has_unwritten_output() && (task.effect() == Effect::Once || refers_to_outputs(&raw)) {
            self.save(run, None).await?;
        }
        let position = run.start_step(index, shown, task.undoable(), clock::now());
        run.give(position, secrets);
        if task.pins_host() {
            run.pin(&self.worker.host_id);
        }
        if task.effect() == Effect::Once || task.undoable() || task.pins_host() {
            self.save(run, None).await?;
        }
        self.perform(run, position, task, cancel).await
    }

    /// Goes on with an attempt whose time has come, or whose process died.
    pub(super) async fn resume(
        &self,
        run: &mut Run,
        position: usize,
        cancel: &CancelSignal,
    ) -> Result<(), Halt> {
        let step = &run.steps[position];
        let Some(registered) = self.registry.get(&step.task) else {
            let reason = Reason::new("task.unknown", format!("this process has no task {:?}", step.task));
            run.fail_step(position, Failure::unknown(reason), clock::now());
            return self.settle(run).await;
        };
        let task = registered.task.clone();
        if is_to_blame(run, task.as_ref()) {
            return self.blame(run, position).await;
        }
        let died = step.status == StepStatus::Running;
        run.resume_step(position);
        if died && task.effect() == Effect::Once && !self.recover(run, position, &task, cancel).await? {
            return self.settle(run).await;
        }
        self.perform(run, position, task, cancel).await
    }

    /// The step ends the processes that run it.
    async fn blame(&self, run: &mut Run, position: usize) -> Result<(), Halt> {
        let detail = format!("{} processes died while this step was under way", run.head.takeovers);
        let reason = Reason::new("step.crashes_process", detail);
        run.fail_step(position, Failure::unknown(reason), clock::now());
        self.settle(run).await
    }

    async fn perform(
        &self,
        run: &mut Run,
        position: usize,
        task: Arc<dyn Task>,
        cancel: &CancelSignal,
    ) -> Result<(), Halt> {
        let policy = policy_of(run, position, task.as_ref());
        let input = match self.real_input(run, position).await {
            Ok(input) => input,
            Err(error) => {
                run.fail_step(position, Failure::clean(Reason::new(error.code, error.public)), clock::now());
                return self.settle(run).await;
            }
        };
        let slot = tokio::select! {
            slot = self.slots.acquire() => slot,
            () = cancel.cancelled() => {
                run.fail_step(position, Failure::cancelled(), clock::now());
                return self.settle(run).await;
            }
        };
        let begun = Instant::now();
        let ended = self.attempt(run, position, Call::Run(task.clone(), input), policy, cancel).await?;
        drop(slot);
        self.count_step(run, position, ended.end(), begun);
        let step = &run.steps[position];
        log::info!(
            "run={} step={} task={} attempt={} {}",
            run.id,
            step.name,
            step.task,
            step.attempt,
            ended.end().as_str()
        );
        let now = clock::now();
        match ended {
            Ended::Outcome(Outcome::Done(output)) => {
                conclude(run, position, output, now);
                // A pure step's checkpoint rides with the next write: running it again would change nothing.
                if task.effect() == Effect::Pure && !run.head.status.is_final() {
                    return Ok(());
                }
            }
            Ended::Outcome(Outcome::WaitUntil(until)) => run.hold_step(position, until, now),
            Ended::Outcome(Outcome::Retry { reason, after }) => {
                self.try_again(run, position, Failure::new(reason), policy, after)
            }
            Ended::Outcome(Outcome::Fail(reason)) => {
                run.fail_step(position, Failure::new(clean(reason)), now)
            }
            Ended::Outcome(Outcome::FailClean(reason)) => {
                run.fail_step(position, Failure::clean(clean(reason)), now)
            }
            Ended::Panicked => {
                let reason = Reason::new("task.panicked", "the task crashed; the log has the cause");
                run.fail_step(position, Failure::new(reason), now);
            }
            Ended::Cancelled => run.fail_step(position, Failure::cancelled(), now),
            Ended::Abandoned => run.fail_step(position, Failure::abandoned(), now),
            Ended::Parked => return Err(self.park(run).await),
            Ended::TimedOut
                if task.effect() == Effect::Once && !self.recover(run, position, &task, cancel).await? => {}
            Ended::TimedOut => {
                let detail = format!("no answer within {} s", policy.timeout.as_secs_f64());
                let failure = Failure::timed_out(Reason::new("task.timed_out", detail));
                self.try_again(run, position, failure, policy, None);
            }
        }
        self.settle(run).await
    }

    pub(super) fn count_step(&self, run: &Run, position: usize, end: StepEnd, begun: Instant) {
        if let Some(meters) = self.meters.get() {
            meters.step_ended(&run.definition.name, &run.steps[position].task, end, begun.elapsed());
        }
    }

    /// Another attempt if one is left or none was to blame, else the step has failed.
    fn try_again(
        &self,
        run: &mut Run,
        position: usize,
        failure: Failure,
        policy: Policy,
        after: Option<Duration>,
    ) {
        let (attempt, now) = (run.steps[position].attempt, clock::now());
        if attempt >= policy.attempts && !is_outage(&failure.reason) {
            return run.fail_step(position, Failure { reason: clean(failure.reason), ..failure }, now);
        }
        let pause = backoff(policy, attempt).max(after.unwrap_or_default());
        run.retry_step(position, clean(failure.reason), now + pause, now);
    }

    /// The step cannot even start; nothing was changed.
    async fn refuse_start(
        &self,
        run: &mut Run,
        index: usize,
        input: Value,
        reason: Reason,
    ) -> Result<(), Halt> {
        let now = clock::now();
        let position = run.start_step(index, input, false, now);
        run.fail_step(position, Failure::clean(reason), now);
        self.settle(run).await
    }
}

impl Ended {
    fn end(&self) -> StepEnd {
        match self {
            Ended::Outcome(Outcome::Done(_)) => StepEnd::Done,
            Ended::Outcome(Outcome::Retry { .. }) => StepEnd::Retry,
            Ended::Outcome(Outcome::Fail(_) | Outcome::FailClean(_)) => StepEnd::Failed,
            Ended::Outcome(Outcome::WaitUntil(_)) => StepEnd::Waits,
            Ended::TimedOut => StepEnd::TimedOut,
            Ended::Cancelled => StepEnd::Cancelled,
            Ended::Panicked => StepEnd::Panicked,
            Ended::Abandoned => StepEnd::Abandoned,
            Ended::Parked => StepEnd::Parked,
        }
    }
}

/// The task's policy with what the flow's step overrides.
pub(super) fn policy_of(run: &Run, position: usize, task: &dyn Task) -> Policy {
    let mut policy = task.policy();
    let step = &run.definition.tasks[run.steps[position].index];
    if let Some(seconds) = step.timeout_s {
        policy.timeout = Duration::from_secs(seconds.into());
    }
    if let Some(attempts) = step.attempts {
        policy.attempts = attempts;
    }
    policy
}

/// The pause after this attempt: doubling, with jitter, up to the policy's longest.
pub(super) fn backoff(policy: Policy, attempt: u32) -> Duration {
    ExponentialBuilder::new()
        .with_min_delay(policy.backoff)
        .with_max_delay(policy.backoff_max)
        .with_factor(2.0)
        .with_max_times(attempt as usize)
        .with_jitter()
        .build()
        .last()
        .unwrap_or(policy.backoff)
}

/// Whether the service's own database was away. That is no fault of the step's and uses up no attempts: each is
/// written down before the next, so that there are few until the database is back.
pub(super) fn is_outage(reason: &Reason) -> bool {
    reason.code == "database.unavailable"
}

fn refers_to_outputs(input: &Value) -> bool {
    let mut refers = false;
    walk(input, "", &mut |_, reference| refers |= matches!(reference.root, Root::Output(_)), &mut |_, _| {});
    refers
}
