//! Waiting for a run: for its end, and for what happens next.

use std::time::Duration;

use super::{Flows, Started};
use crate::flows::event::Event;
use crate::flows::run::Run;
use crate::{Result, RunId};

/// How often a run that another process drives is looked at while somebody waits for it.
const LOOK_EVERY: Duration = Duration::from_millis(300);

impl Flows {
    /// Waits until the run is over, but no longer than `at_most` nor than this process, and returns it as it is then.
    /// The run goes on whether or not anybody waits.
    pub async fn wait(&self, started: Started, at_most: Duration) -> Result<Run> {
        let Started { run, mut watch, .. } = started;
        if run.head.status.is_final() || at_most.is_zero() {
            return Ok(run);
        }
        let id = run.id;
        let ended = async {
            loop {
                if let Some(watch) = &mut watch
                    && let Ok(end) = watch.wait_for(Option::is_some).await
                    && let Some(run) = end.as_deref()
                {
                    return run.clone();
                }
                // Another process drives it, or does by now; if the store is away, it is asked again.
                match self.store.run(id).await {
                    Ok(Some(run)) if run.head.status.is_final() => return run,
                    _ => tokio::time::sleep(LOOK_EVERY).await,
                }
                watch = self.engine.live().watch(id);
            }
        };
        tokio::select! {
            run = ended => return Ok(run),
            () = tokio::time::sleep(at_most) => {}
            () = self.engine.stopped() => {}
        }
        self.known(id).await
    }

    /// Events after this number, and whether the run has ended with the last of them. Waits up to `at_most` for the
    /// first.
    pub async fn events(
        &self,
        run: RunId,
        after: i64,
        limit: usize,
        at_most: Duration,
    ) -> Result<(Vec<Event>, bool)> {
        let deadline = tokio::time::Instant::now() + at_most;
        let mut writes = self.engine.live().writes(run);
        loop {
            if let Some(writes) = &mut writes {
                writes.mark_unchanged();
            }
            let (events, done) = self.store.events(run, after, limit).await?;
            if done || !events.is_empty() || tokio::time::Instant::now() >= deadline {
                return Ok((events, done));
            }
            match &mut writes {
                Some(here) => {
                    let changed = tokio::time::timeout_at(deadline, here.changed()).await;
                    if matches!(changed, Ok(Err(_))) {
                        writes = None;
                    }
                }
                None => {
                    tokio::time::sleep_until(deadline.min(tokio::time::Instant::now() + LOOK_EVERY)).await;
                    writes = self.engine.live().writes(run);
                }
            }
        }
    }
}
