//! Finding out what became of a `Once` step that nobody saw the end of.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::attempt::Reports;
use super::step::clean;
use super::{Engine, Halt};
use crate::clock;
use crate::flows::outcome::{Reason, Recovery};
use crate::flows::run::{Failure, Run};
use crate::flows::secret::Given;
use crate::flows::task::Task;

/// A task that is still going is asked again this often.
const ASK_AGAIN: Duration = Duration::from_millis(500);

impl Engine {
    /// Asks a `Once` task what became of an attempt nobody heard the end of, and records the answer. `true` when it
    /// never started, so that it may be run.
    pub(super) async fn recover(
        &self,
        run: &mut Run,
        position: usize,
        task: &dyn Task,
        cancel: &CancellationToken,
    ) -> Result<bool, Halt> {
        let context =
            self.context(run, position, cancel.clone(), Arc::new(Reports::without(run.given.clone())));
        loop {
            let input = match self.real_input(run, position).await {
                Ok(input) => Arc::unwrap_or_clone(input),
                Err(_) => (*run.steps[position].input).clone(),
            };
            let answer = scrubbed(&run.given, task.recover(&context, input).await);
            let now = clock::now();
            match answer {
                Recovery::NeverStarted => return Ok(true),
                Recovery::Finished(output) => run.succeed_step(position, output, now),
                Recovery::Failed(reason) => run.fail_step(position, Failure::new(clean(reason)), now),
                Recovery::Unknown => {
                    let detail = "nobody heard how this step ended, and nobody can say";
                    run.fail_step(position, Failure::unknown(Reason::new("step.unknown", detail)), now);
                }
                Recovery::Running => {
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
