//! How runs come to an engine: new ones, retries, and those it claimed.

use std::sync::Arc;

use super::lease::RENEW_EVERY;
use super::{Engine, Watch};
use crate::flows::gate::Gate;
use crate::flows::run::Run;
use crate::flows::store::{Created, Idempotency, NewRun};
use crate::{Kind, Result, RunId, trace};

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
        let (label, host) = (run.definition.runs_on.as_ref(), run.head.host_id.as_ref());
        self.works
            && !self.stopping.is_cancelled()
            && !self.pauses.stop(run)
            && label.is_none_or(|label| self.worker.labels.contains(label))
            && host.is_none_or(|host| *host == self.worker.host_id)
    }

    /// Stores a new run and, if it can, starts driving it.
    pub async fn submit(
        self: &Arc<Self>,
        mut run: Run,
        idempotency: Option<Idempotency>,
    ) -> Result<Submitted> {
        run.trace = trace::current();
        run.gates = Gate::of(&run.definition, self.limited);
        let claim = self.takes(&run);
        if claim {
            run.claim(self.worker.id, run.created_at);
        }
        let created = self.store.create(NewRun { run: run.clone(), claim, idempotency }).await;
        let created = self.sure(&run, created)?;
        Ok(self.begin(run, created, claim))
    }

    /// Stores a run that takes over the steps of `old`, and starts driving it.
    pub async fn resubmit(
        self: &Arc<Self>,
        old: &Run,
        mut run: Run,
        idempotency: Option<Idempotency>,
    ) -> Result<Submitted> {
        run.trace = trace::current();
        run.gates = Gate::of(&run.definition, self.limited);
        let claim = self.takes(&run);
        if claim {
            run.claim(self.worker.id, run.created_at);
        }
        let new = NewRun { run: run.clone(), claim, idempotency };
        let created = self.store.supersede(old.id, old.head.version, new).await;
        let created = self.sure(&run, created)?;
        Ok(self.begin(run, created, claim))
    }

    /// A store that went away may have kept the run and lost its answer. The caller hears that it failed, but a run
    /// that was stored under this owner would be driven by nobody: it is looked for once the store is back.
    fn sure(self: &Arc<Self>, run: &Run, created: Result<Created>) -> Result<Created> {
        let claimed = run.head.owner.is_some();
        if claimed && created.as_ref().is_err_and(|error| error.kind == Kind::Unavailable) {
            let (engine, id) = (self.clone(), run.id);
            self.drives.spawn(async move {
                tokio::select! {
                    () = engine.find(id) => {}
                    () = engine.stopping.cancelled() => {}
                }
            });
        }
        created
    }

    async fn find(self: &Arc<Self>, id: RunId) {
        loop {
            tokio::time::sleep(RENEW_EVERY).await;
            self.lease.held().await;
            match self.store.run(id).await {
                Ok(Some(run)) if run.head.owner == Some(self.worker.id) => return drop(self.take(run)),
                Ok(_) => return,
                Err(_) => {}
            }
        }
    }

    /// Drives a stored run, if its claim was stored with it.
    fn begin(self: &Arc<Self>, mut run: Run, created: Created, claim: bool) -> Submitted {
        if let (Created::Stored { .. }, Some(meters)) = (&created, self.meters.get()) {
            meters.run_created(&run.definition.name);
        }
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
        if let Some(how) = run.head.cancel {
            cancel.tell(how);
        }
        self.drives.spawn(async move { engine.drive(run, cancel).await });
        watch
    }
}
