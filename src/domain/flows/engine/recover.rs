//! Finding out what became of a `Once` step that nobody saw the end of.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::attempt::GONE_WITHIN;
use super::bounds::{clean, conclude};
use super::reports::Reports;
use super::{Engine, Halt};
use crate::CancelSignal;
use crate::clock;
use crate::flows::Context;
use crate::flows::outcome::{Reason, Recovery};
use crate::flows::run::{Failure, Run};
use crate::flows::secret::Given;
use crate::flows::task::Task;

/// A task that is still going is asked again this often.
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// A task that does not answer for this long has nothing to say.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

impl Engine {
    /// Asks a `Once` task what became of an attempt nobody heard the end of, and records the answer. `true` when it
    /// never started, so that it may be run.
    pub(super) async fn recover(
        &self,
        run: &mut Run,
        position: usize,
        task: &Arc<dyn Task>,
        cancel: &CancelSignal,
    ) -> Result<bool, Halt> {
        let reports = Arc::new(Reports::scrubbed_of(run.given.clone()));
        let context = self.context(run, position, cancel.clone(), reports);
        let mut forced: Option<Instant> = None;
        loop {
            let input = match self.real_input(run, position).await {
                Ok(input) => Arc::unwrap_or_clone(input),
                Err(_) => (*run.steps[position].input).clone(),
            };
            let answer = scrubbed(&run.given, ask(task.clone(), context.clone(), input).await);
            let now = clock::now();
            match answer {
                Recovery::NeverStarted => return Ok(true),
                Recovery::Finished(output) => conclude(run, position, output, now),
                Recovery::Failed(reason) => run.fail_step(position, Failure::new(clean(reason)), now),
                Recovery::Unknown => {
                    let detail = "nobody heard how this step ended, and nobody can say";
                    run.fail_step(position, Failure::unknown(Reason::new("step.unknown", detail)), now);
                }
                Recovery::Running if forced.is_some_and(|at| at.elapsed() >= GONE_WITHIN) => {
                    run.fail_step(position, Failure::abandoned(), now);
                }
                Recovery::Running => {
                    // What still goes was told by the context; by force it has only so long.
                    forced = forced.or_else(|| cancel.is_forced().then(Instant::now));
                    self.lease.held().await;
                    tokio::select! {
                        () = tokio::time::sleep(ASK_AGAIN) => continue,
                        () = self.stopping.cancelled() => return Err(self.park(run).await),
                    }
                }
            }
            return Ok(false);
        }
    }
}

/// A task that panics or does not answer knows nothing.
async fn ask(task: Arc<dyn Task>, context: Context, input: Value) -> Recovery {
    let (run, step) = (context.run, context.step.clone());
    let mut asked = tokio::spawn(async move { task.recover(&context, input).await });
    match tokio::time::timeout(ANSWER_WITHIN, &mut asked).await {
        Ok(Ok(answer)) => return answer,
        Ok(Err(error)) => log::error!("run={run} step={step} its task panicked when asked for it: {error}"),
        Err(_) => log::error!("run={run} step={step} its task does not say what became of it"),
    }
    asked.abort();
    Recovery::Unknown
}

/// What a task recovers is scrubbed like what it returns.
fn scrubbed(given: &Given, answer: Recovery) -> Recovery {
    match answer {
        Recovery::Finished(output) => Recovery::Finished(given.scrub_value(output)),
        Recovery::Failed(reason) => {
            Recovery::Failed(Reason { detail: given.scrub(&reason.detail), ..reason })
        }
        other => other,
    }
}
