//! The runs this process drives: who waits for them, and how a cancel reaches them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, watch};

use crate::flows::run::Run;
use crate::{Cancel, CancelSignal, RunId};

/// What a watcher of a local run sees.
#[derive(Clone, Default)]
pub struct Glimpse {
    /// Counts durable writes.
    pub writes: u64,
    /// The run, once it is over.
    pub ended: Option<Arc<Run>>,
}

struct Entry {
    cancel: CancelSignal,
    glimpse: watch::Sender<Glimpse>,
}

#[derive(Default)]
pub struct Live {
    runs: Mutex<HashMap<RunId, Entry>>,
    /// There may be a run to claim.
    pub(super) claimable: Notify,
}

impl Live {
    /// Follows a run that this process drives; none if it does not. The channel closes when the process lets the
    /// run go, ended or not.
    pub fn watch(&self, run: RunId) -> Option<watch::Receiver<Glimpse>> {
        self.lock().get(&run).map(|entry| entry.glimpse.subscribe())
    }

    /// Reaches a running task at once. `false` when the run is not driven here.
    pub fn cancel(&self, run: RunId, how: Cancel) -> bool {
        match self.lock().get(&run) {
            Some(entry) => {
                entry.cancel.tell(how);
                true
            }
            None => false,
        }
    }

    /// How many runs are driven here.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn open(&self, run: RunId) -> (CancelSignal, watch::Receiver<Glimpse>) {
        let cancel = CancelSignal::new();
        let (glimpse, watch) = watch::channel(Glimpse::default());
        self.lock().insert(run, Entry { cancel: cancel.clone(), glimpse });
        (cancel, watch)
    }

    pub(super) fn changed(&self, run: RunId, cancel: Option<Cancel>) {
        if let Some(entry) = self.lock().get(&run) {
            entry.glimpse.send_modify(|glimpse| glimpse.writes += 1);
            if let Some(how) = cancel {
                entry.cancel.tell(how);
            }
        }
    }

    pub(super) fn close(&self, run: Run, ended: bool) {
        let entry = self.lock().remove(&run.id);
        if let (Some(entry), true) = (entry, ended) {
            entry.glimpse.send_modify(|glimpse| glimpse.ended = Some(Arc::new(run)));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<RunId, Entry>> {
        // The map is whole after every statement under the lock, so a panic elsewhere leaves nothing half-done.
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
