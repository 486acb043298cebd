//! The runs this process drives: who waits for them, and how a cancel reaches them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, watch};

use crate::flows::run::Run;
use crate::{Cancel, CancelSignal, RunId};

/// Waits for the end of a run that this process drives: the run, once it is over. Closes when the process lets the run
/// go, ended or not.
pub type Watch = watch::Receiver<Option<Arc<Run>>>;

/// Most watchers wait for the end: a channel of its own does not wake them at every write.
struct Entry {
    cancel: CancelSignal,
    /// Counts durable writes.
    writes: watch::Sender<u64>,
    end: watch::Sender<Option<Arc<Run>>>,
}

#[derive(Default)]
pub struct Live {
    runs: Mutex<HashMap<RunId, Entry>>,
    /// There may be a run to claim.
    pub(super) claimable: Notify,
}

impl Live {
    /// Follows a run to its end; none if this process does not drive it.
    pub fn watch(&self, run: RunId) -> Option<Watch> {
        self.lock().get(&run).map(|entry| entry.end.subscribe())
    }

    /// Follows a run from write to write; none if this process does not drive it. The channel closes when the process
    /// lets the run go.
    pub fn writes(&self, run: RunId) -> Option<watch::Receiver<u64>> {
        self.lock().get(&run).map(|entry| entry.writes.subscribe())
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

    pub(super) fn open(&self, run: RunId) -> (CancelSignal, Watch) {
        let cancel = CancelSignal::new();
        let (end, watch) = watch::channel(None);
        let (writes, _) = watch::channel(0);
        self.lock().insert(run, Entry { cancel: cancel.clone(), writes, end });
        (cancel, watch)
    }

    pub(super) fn changed(&self, run: RunId, cancel: Option<Cancel>) {
        if let Some(entry) = self.lock().get(&run) {
            entry.writes.send_modify(|writes| *writes += 1);
            if let Some(how) = cancel {
                entry.cancel.tell(how);
            }
        }
    }

    pub(super) fn close(&self, run: Run, ended: bool) {
        let entry = self.lock().remove(&run.id);
        if let (Some(entry), true) = (entry, ended) {
            entry.end.send_replace(Some(Arc::new(run)));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<RunId, Entry>> {
        // The map is whole after every statement under the lock, so a panic elsewhere leaves nothing half-done.
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
