//! What callers ask of runs: to end, and to be taken back.

use crate::flows::run::RunStatus;
use crate::flows::store::{Ack, Checkpoint, Signal};
use crate::{Cancel, RunId, WorkerId};

use super::state::{State, write};

impl State {
    pub(super) fn cancels(&self, owner: WorkerId) -> Vec<(RunId, Cancel)> {
        let owned = self.runs.values().filter(|stored| stored.run.head.owner == Some(owner));
        owned.filter_map(|stored| Some((stored.run.id, stored.run.head.cancel?))).collect()
    }

    pub(super) fn request_cancel(&mut self, run: RunId, how: Cancel) -> (Option<RunStatus>, Vec<Signal>) {
        let Some(stored) = self.runs.get_mut(&run) else { return (None, Vec::new()) };
        let status = stored.run.head.status;
        if status.is_final() {
            return (Some(status), Vec::new());
        }
        stored.run.head.cancel = stored.run.head.cancel.max(Some(how));
        if status == RunStatus::Queued && stored.run.head.owner.is_none() && stored.run.parent.is_none() {
            stored.run.cancel(crate::clock::now());
            stored.claimable_at = None;
            let key = stored.run.concurrency_key.clone();
            let signals = key.map(|key| self.hand_over(&key, run)).unwrap_or_default();
            self.leave(run);
            return (Some(RunStatus::Cancelled), signals);
        }
        let signal = match stored.run.head.owner {
            Some(_) => Signal::Cancel(run, how),
            None if status == RunStatus::Undoing || stored.waits() => return (Some(status), Vec::new()),
            None => {
                stored.claimable_at = Some(crate::clock::now());
                Signal::Claimable
            }
        };
        (Some(status), vec![signal])
    }

    pub(super) fn reopen(&mut self, new: Checkpoint) -> (Ack, Vec<Signal>) {
        if !self.may_supersede(new.run, new.version) {
            return (Ack::Fenced, Vec::new());
        }
        let Some(stored) = self.runs.get_mut(&new.run) else { return (Ack::Fenced, Vec::new()) };
        let holds = match &stored.run.concurrency_key {
            Some(key) => *self.keys.entry(key.clone()).or_insert(new.run) == new.run,
            None => true,
        };
        write(stored, &new);
        self.tickets += 1;
        stored.ticket = self.tickets;
        stored.claimable_at = None;
        stored.run.head.cancel = None;
        let gates = stored.run.gates.clone();
        if holds {
            self.enter(new.run, &gates);
        }
        (Ack::Stored { cancel: None }, vec![Signal::Claimable])
    }

    pub(super) fn may_supersede(&self, old: RunId, version: i64) -> bool {
        self.runs.get(&old).is_some_and(|stored| {
            let head = &stored.run.head;
            head.version == version && head.finished_at.is_some() && head.superseded_by.is_none()
        })
    }

    pub(super) fn mark_superseded(&mut self, old: RunId, by: RunId) {
        if let Some(stored) = self.runs.get_mut(&old) {
            stored.run.head.superseded_by = Some(by);
            stored.run.head.version += 1;
        }
    }
}
