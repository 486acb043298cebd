//! One call of a task: under its timeout, within reach of a cancel, with what it reports made durable as it goes.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::reports::Reports;
use super::{Engine, Halt};
use crate::CancelSignal;
use crate::flows::context::{Context, Reporter};
use crate::flows::outcome::{Outcome, Reason};
use crate::flows::run::Run;
use crate::flows::secret::Given;
use crate::flows::task::{Policy, Task};
use crate::trace;

/// How long what was ended by force may take to be gone.
pub(super) const GONE_WITHIN: Duration = Duration::from_secs(5);
/// How long a dropped future may take to be gone: until its next await.
const YIELD_WITHIN: Duration = Duration::from_secs(1);

/// Which call of a task.
pub(super) enum Call {
    Run(Arc<dyn Task>, Arc<Value>),
    Undo(Arc<dyn Task>, Arc<Value>, Option<Arc<Value>>),
}

impl Call {
    fn task(&self) -> &dyn Task {
        match self {
            Call::Run(task, _) | Call::Undo(task, _, _) => task.as_ref(),
        }
    }
}

/// How a call ended.
pub(super) enum Ended {
    Outcome(Outcome),
    TimedOut,
    Cancelled,
    Panicked,
    /// It cannot be stopped, and an operator's force does not wait for it.
    Abandoned,
    /// The process stops: somebody else goes on.
    Parked,
}

/// A call under way.
struct Calling {
    /// Gone when this is dropped: a process that lost its run goes on with nothing of it.
    handle: AbortOnDropHandle<Outcome>,
    position: usize,
    stop: CancelSignal,
    reports: Arc<Reports>,
    /// What it runs on this machine may outlive this process.
    leaves: bool,
}

impl Engine {
    /// Calls the task for the step at `position`. Returns when nothing of the call is running any more.
    pub(super) async fn attempt(
        &self,
        run: &mut Run,
        position: usize,
        call: Call,
        policy: Policy,
        cancel: &CancelSignal,
    ) -> Result<Ended, Halt> {
        let mut calling = self.call(run, position, call);
        let deadline = tokio::time::sleep(policy.timeout);
        tokio::pin!(deadline);
        let interrupted = loop {
            tokio::select! {
                biased;
                joined = &mut calling.handle => {
                    self.report(run, position, &calling.reports).await?;
                    return Ok(ended(joined));
                }
                () = cancel.cancelled() => break Ended::Cancelled,
                () = self.stopping.cancelled() => break Ended::Parked,
                () = &mut deadline => break Ended::TimedOut,
                () = calling.reports.due() => self.report(run, position, &calling.reports).await?,
            }
        };
        if matches!(interrupted, Ended::Parked) && calling.leaves {
            // Dropping the call leaves its child process running; whoever resumes the step finds it again.
            calling.handle.abort();
            let _ = calling.handle.await;
            return Ok(Ended::Parked);
        }
        calling.stop.cancel();
        Ok(match (interrupted, self.wind_down(run, calling, policy.grace, cancel).await?) {
            // What was done is done, however late.
            (_, Some(late @ (Ended::Outcome(Outcome::Done(_)) | Ended::Abandoned))) => late,
            (interrupted, _) => interrupted,
        })
    }

    fn call(&self, run: &Run, position: usize, call: Call) -> Calling {
        let given = run.given.clone();
        let reports = Arc::new(Reports::scrubbed_of(given.clone()));
        let stop = CancelSignal::new();
        let context = self.context(run, position, stop.clone(), reports.clone());
        let leaves = self.leaves_children && call.task().pins_host();
        let trace = run.trace.as_ref().map(|trace| {
            let step = &run.steps[position];
            trace.child(&format!("{}/{}/{}", run.id, step.name, step.attempt))
        });
        let handle = AbortOnDropHandle::new(tokio::spawn(trace::under(trace, async move {
            let outcome = match call {
                Call::Run(task, input) => task.run(&context, Arc::unwrap_or_clone(input)).await,
                Call::Undo(task, input, output) => {
                    task.undo(&context, Arc::unwrap_or_clone(input), output.map(Arc::unwrap_or_clone)).await
                }
            };
            scrubbed(&given, outcome)
        })));
        Calling { handle, position, stop, reports, leaves }
    }

    /// Gives the call its grace, which ends with a forced cancel, then drops it. A call that never awaits cannot be
    /// dropped: it is waited for, unless by force.
    async fn wind_down(
        &self,
        run: &mut Run,
        mut calling: Calling,
        grace: Duration,
        cancel: &CancelSignal,
    ) -> Result<Option<Ended>, Halt> {
        let Calling { handle, position, stop, reports, .. } = &mut calling;
        let over = tokio::time::sleep(grace);
        tokio::pin!(over);
        loop {
            tokio::select! {
                biased;
                joined = &mut *handle => {
                    self.report(run, *position, reports).await?;
                    return Ok(Some(ended(joined)));
                }
                () = cancel.forced(), if !stop.is_forced() => {
                    stop.force();
                    let gone = over.deadline().min(Instant::now() + GONE_WITHIN);
                    over.as_mut().reset(gone);
                }
                () = reports.due() => self.report(run, *position, reports).await?,
                () = &mut over => break,
            }
        }
        handle.abort();
        if tokio::time::timeout(YIELD_WITHIN, &mut *handle).await.is_ok() {
            return Ok(None);
        }
        log::error!(
            "run={} step={} ignores its stop signal and never yields",
            run.id,
            run.steps[*position].name
        );
        run.blame_unyielding(*position);
        self.save(run, None).await?;
        tokio::select! {
            // Undoing a step while it still runs would race with it.
            _ = handle => {
                run.absolve();
                Ok(None)
            }
            () = cancel.forced() => Ok(Some(Ended::Abandoned)),
        }
    }

    pub(super) fn context(
        &self,
        run: &Run,
        position: usize,
        cancel: CancelSignal,
        reporter: Arc<dyn Reporter>,
    ) -> Context {
        let step = &run.steps[position];
        Context {
            run: run.id,
            step: step.name.clone(),
            attempt: step.attempt,
            caller: run.caller.clone(),
            run_input: run.input.clone(),
            outputs: run.outputs().clone(),
            cancel,
            waited_until: step.waited_until,
            ports: self.ports.clone(),
            reporter,
        }
    }
}

fn ended(joined: Result<Outcome, tokio::task::JoinError>) -> Ended {
    match joined {
        Ok(outcome) => Ended::Outcome(outcome),
        Err(error) if error.is_panic() => {
            log::error!("a task panicked: {error}");
            Ended::Panicked
        }
        Err(_) => Ended::Cancelled,
    }
}

/// An outcome without the secrets that the task was given.
fn scrubbed(given: &Given, outcome: Outcome) -> Outcome {
    if given.is_empty() {
        return outcome;
    }
    let clean =
        |reason: Reason| Reason { code: given.scrub(&reason.code), detail: given.scrub(&reason.detail) };
    match outcome {
        Outcome::Done(output) => Outcome::Done(given.scrub_value(output)),
        Outcome::Retry { reason, after } => Outcome::Retry { reason: clean(reason), after },
        Outcome::Fail(reason) => Outcome::Fail(clean(reason)),
        Outcome::FailClean(reason) => Outcome::FailClean(clean(reason)),
        Outcome::WaitUntil(until) => Outcome::WaitUntil(until),
    }
}
