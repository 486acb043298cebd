//! One call of a task: under its timeout, within reach of a cancel, with what it reports made durable as it goes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Engine, Halt};
use crate::clock;
use crate::flows::context::{Context, Reporter};
use crate::flows::outcome::{Outcome, Reason};
use crate::flows::run::Run;
use crate::flows::secret::Given;
use crate::flows::task::{Policy, Task};

/// Progress and output are written at most this often.
const REPORT_EVERY: Duration = Duration::from_millis(250);
/// Lines kept between two writes; a task that writes more is told of in one line.
const MOST_LINES: usize = 500;
/// Bytes of one line.
const MOST_LINE_BYTES: usize = 4096;
/// Bytes of lines kept of one attempt.
const MOST_OUTPUT_BYTES: usize = 4 << 20;
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
    /// The process stops: somebody else goes on.
    Parked,
}

impl Engine {
    /// Calls the task for the step at `position`. Returns when nothing of the call is running any more.
    pub(super) async fn attempt(
        &self,
        run: &mut Run,
        position: usize,
        call: Call,
        policy: Policy,
        cancel: &CancellationToken,
    ) -> Result<Ended, Halt> {
        let reports = Arc::new(Reports::without(run.given.clone()));
        let stop = CancellationToken::new();
        let context = self.context(run, position, stop.clone(), reports.clone());
        let leave = self.leaves_children && call.task().pins_host();
        let given = run.given.clone();
        let mut call = tokio::spawn(async move {
            let outcome = match call {
                Call::Run(task, input) => task.run(&context, Arc::unwrap_or_clone(input)).await,
                Call::Undo(task, input, output) => {
                    task.undo(&context, Arc::unwrap_or_clone(input), output.map(Arc::unwrap_or_clone)).await
                }
            };
            scrubbed(&given, outcome)
        });

        let deadline = tokio::time::sleep(policy.timeout);
        tokio::pin!(deadline);
        let interrupted = loop {
            tokio::select! {
                biased;
                joined = &mut call => {
                    self.report(run, position, &reports).await?;
                    return Ok(ended(joined));
                }
                () = cancel.cancelled() => break Ended::Cancelled,
                () = self.stopping.cancelled() => break Ended::Parked,
                () = &mut deadline => break Ended::TimedOut,
                () = reports.due() => self.report(run, position, &reports).await?,
            }
        };
        if matches!(interrupted, Ended::Parked) && leave {
            // Dropping the call leaves its child process running; whoever resumes the step finds it again.
            call.abort();
            let _ = call.await;
            return Ok(Ended::Parked);
        }
        stop.cancel();
        let finished = self.wind_down(run, position, &mut call, policy.grace, &reports).await?;
        Ok(match (interrupted, finished) {
            // What was done is done, however late.
            (_, Some(Ended::Outcome(outcome @ Outcome::Done(_)))) => Ended::Outcome(outcome),
            (interrupted, _) => interrupted,
        })
    }

    /// Gives the call its grace, then drops it. A call that never awaits cannot be dropped: it is waited for.
    async fn wind_down(
        &self,
        run: &mut Run,
        position: usize,
        call: &mut JoinHandle<Outcome>,
        grace: Duration,
        reports: &Reports,
    ) -> Result<Option<Ended>, Halt> {
        let over = tokio::time::sleep(grace);
        tokio::pin!(over);
        loop {
            tokio::select! {
                biased;
                joined = &mut *call => {
                    self.report(run, position, reports).await?;
                    return Ok(Some(ended(joined)));
                }
                () = reports.due() => self.report(run, position, reports).await?,
                () = &mut over => break,
            }
        }
        call.abort();
        if tokio::time::timeout(YIELD_WITHIN, &mut *call).await.is_err() {
            let step = run.steps[position].name.clone();
            log::error!("run={} step={step} ignores its stop signal and never yields", run.id);
            run.blame_unyielding(position);
            self.save(run, None).await?;
            // Undoing a step while it still runs would race with it.
            let _ = call.await;
        }
        Ok(None)
    }

    async fn report(&self, run: &mut Run, position: usize, reports: &Reports) -> Result<(), Halt> {
        let Batch { progress, lines } = reports.take();
        if progress.is_none() && lines.is_empty() {
            return Ok(());
        }
        let now = clock::now();
        if !lines.is_empty() {
            run.report_output(position, &lines, now);
        }
        if let Some((percent, message)) = progress {
            run.report_progress(position, percent, &message, now);
        }
        self.save(run, None).await
    }

    pub(super) fn context(
        &self,
        run: &Run,
        position: usize,
        cancel: CancellationToken,
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

/// What a task reported and is not durable yet; bounded, whatever the task does.
#[derive(Default)]
pub(super) struct Reports {
    given: Given,
    held: Mutex<Held>,
    some: Notify,
}

#[derive(Default)]
struct Held {
    progress: Option<(u8, String)>,
    highest: u8,
    lines: VecDeque<String>,
    left_out: usize,
    bytes: usize,
}

struct Batch {
    progress: Option<(u8, String)>,
    lines: Vec<String>,
}

impl Reports {
    /// Reports from which these secrets are taken out.
    pub(super) fn without(given: Given) -> Self {
        Self { given, ..Self::default() }
    }

    /// Ready a moment after something was reported, so that a burst is one write.
    async fn due(&self) {
        self.some.notified().await;
        tokio::time::sleep(REPORT_EVERY).await;
    }

    fn take(&self) -> Batch {
        let mut held = self.lock();
        let mut lines: Vec<String> = held.lines.drain(..).collect();
        if held.left_out > 0 {
            lines.push(format!("({} lines left out)", std::mem::take(&mut held.left_out)));
        }
        Batch { progress: held.progress.take(), lines }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reporter for Reports {
    fn masked(&self, text: &str) -> Option<String> {
        let clean = self.given.scrub(text);
        (clean != text).then_some(clean)
    }

    fn progress(&self, percent: u8, message: &str) {
        let mut held = self.lock();
        held.highest = held.highest.max(percent);
        held.progress = Some((held.highest, cut(&self.given.scrub(message))));
        self.some.notify_one();
    }

    fn output(&self, line: &str) {
        let mut held = self.lock();
        if held.lines.len() >= MOST_LINES || held.bytes >= MOST_OUTPUT_BYTES {
            held.left_out += 1;
        } else {
            let line = cut(&self.given.scrub(line));
            held.bytes += line.len();
            held.lines.push_back(line);
        }
        self.some.notify_one();
    }
}

/// A line as it may be stored: no NUL, which PostgreSQL has no room for, and not too long.
fn cut(line: &str) -> String {
    let end = line.floor_char_boundary(MOST_LINE_BYTES);
    line[..end].replace('\0', "\u{fffd}")
}
