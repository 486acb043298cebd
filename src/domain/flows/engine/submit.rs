//! How runs come to an engine: new ones, retries, and those it claimed.

use std::sync::Arc;

use super::{Engine, live};
use crate::Result;
use crate::clock;
use crate::flows::run::Run;
use crate::flows::store::{Created, Idempotency, NewRun};

/// Follows a run that this process drives; closes when the process lets it go.
pub type Watch = tokio::sync::watch::Receiver<live::Glimpse>;

/// A run that was handed in.
pub struct Submitted {
    pub run: Run,
    pub created: Created,
    /// Set when this process drives it.
    pub watch: Option<Watch>,
}

impl Engine {
    /// This process can drive the run now, so its first claim rides along with its insert.
    pub fn takes(&self, run: &Run) -> bool {
        let label = run.definition.runs_on.as_ref();
        self.works
            && !self.stopping.is_cancelled()
            && label.is_none_or(|label| self.worker.labels.contains(label))
    }

    /// Stores a new run and, if it can, starts driving it.
    pub async fn submit(
        self: &Arc<Self>,
        mut run: Run,
        idempotency: Option<Idempotency>,
    ) -> Result<Submitted> {
        let claim = self.takes(&run);
        if claim {
            run.claim(self.worker.id, clock::now());
        }
        let created = self.store.create(NewRun { run: run.clone(), claim, idempotency }).await?;
        Ok(self.begin(run, created, claim))
    }

    /// Stores a run that takes over the steps of `old`, and starts driving it.
    pub async fn resubmit(
        self: &Arc<Self>,
        old: &Run,
        mut run: Run,
        idempotency: Option<Idempotency>,
    ) -> Result<Submitted> {
        let claim =
            self.takes(&run) && run.head.host_id.as_ref().is_none_or(|host| *host == self.worker.host_id);
        if claim {
            run.claim(self.worker.id, clock::now());
        }
        let new = NewRun { run: run.clone(), claim, idempotency };
        let created = self.store.supersede(old.id, old.head.version, new).await?;
        Ok(self.begin(run, created, claim))
    }

    /// Drives a stored run, if its claim was stored with it.
    fn begin(self: &Arc<Self>, mut run: Run, created: Created, claim: bool) -> Submitted {
        let watch = match created {
            Created::Stored { claimed: true } => Some(self.take(run.clone())),
            Created::Stored { claimed: false } if claim => {
                run.unclaim();
                None
            }
            _ => None,
        };
        Submitted { run, created, watch }
    }

    /// Drives a run this process owns, in the background.
    pub fn take(self: &Arc<Self>, run: Run) -> Watch {
        let engine = self.clone();
        let (cancel, watch) = self.live.open(run.id);
        if run.head.cancel_requested {
            cancel.cancel();
        }
        self.drives.spawn(async move { engine.drive(run, cancel).await });
        watch
    }
}
