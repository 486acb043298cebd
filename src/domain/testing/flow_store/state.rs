//! What the memory store holds, and the laws it keeps.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::gates::{PARKED, Places};
use super::known::Known;
use crate::flows::event::Event;
use crate::flows::gate::{Gate, Pause};
use crate::flows::run::{Run, RunStatus};
use crate::flows::store::{
    Ack, Checkpoint, Created, Idempotency, NewRun, Release, RunFilter, Signal, Standing, Worker,
};
use crate::{Cancel, RunId, UserId, WorkerId};
use jiff::Timestamp;

pub(super) struct Stored {
    pub(super) run: Run,
    pub(super) events: Vec<Event>,
    pub(super) claimable_at: Option<Timestamp>,
    pub(super) ticket: u64,
}

/// A process that has not renewed for this long is believed dead.
const LOST_AFTER: Duration = Duration::from_secs(5);

impl Stored {
    /// For its key: it has neither an owner nor a time to be claimed.
    pub(super) fn waits(&self) -> bool {
        let head = &self.run.head;
        head.owner.is_none()
            && self.claimable_at.is_none()
            && matches!(head.status, RunStatus::Queued | RunStatus::Undoing)
    }
}

#[derive(Default)]
pub(super) struct State {
    pub(super) runs: BTreeMap<RunId, Stored>,
    workers: HashMap<WorkerId, Known>,
    pub(super) keys: HashMap<String, RunId>,
    requests: HashMap<(UserId, String, String), (Idempotency, RunId)>,
    pub(super) tickets: u64,
    pub(super) places: BTreeMap<Gate, Places>,
    pub(super) pauses: Vec<Pause>,
    /// To be told once the state is let go of.
    pub(super) signals: Vec<Signal>,
}

impl State {
    pub(super) fn create(&mut self, new: NewRun) -> (Created, Vec<Signal>) {
        let NewRun { mut run, claim, idempotency } = new;
        if let Some(key) = idempotency {
            let slot = (key.caller, key.scope.clone(), key.key.clone());
            if let Some((used, winner)) = self.requests.get(&slot) {
                let same = used.body_sha256 == key.body_sha256;
                return (if same { Created::Replayed(*winner) } else { Created::KeyReused }, Vec::new());
            }
            self.requests.insert(slot, (key, run.id));
        }
        let holds = match &run.concurrency_key {
            Some(key) => *self.keys.entry(key.clone()).or_insert(run.id) == run.id,
            None => true,
        };
        self.note_limit(&run);
        let may = holds && self.enter(run.id, &run.gates);
        let claimed = claim && may;
        if claim && !claimed {
            run.unclaim();
        }
        self.tickets += 1;
        let paused = self.pause_of(&run.definition.name).is_some();
        let claimable_at = (may && !claimed).then(|| if paused { PARKED } else { crate::clock::now() });
        let stored = Stored { events: Vec::new(), claimable_at, ticket: self.tickets, run };
        self.runs.insert(stored.run.id, stored);
        (Created::Stored { claimed }, claimable_at.map(|_| Signal::Claimable).into_iter().collect())
    }

    pub(super) fn checkpoint(&mut self, new: Checkpoint) -> (Ack, Vec<Signal>) {
        let Some(stored) = self.runs.get_mut(&new.run) else { return (Ack::Fenced, Vec::new()) };
        let head = &stored.run.head;
        if (head.owner, head.epoch, head.version) != (Some(new.owner), new.epoch, new.version) {
            return (Ack::Fenced, Vec::new());
        }
        let cancel = head.cancel;
        write(stored, &new);
        stored.run.head.cancel = cancel;
        if let Some(release) = new.release {
            stored.run.head.owner = None;
            stored.claimable_at = match release {
                Release::At(_) if cancel.is_some() && new.head.status != RunStatus::Undoing => {
                    Some(crate::clock::now())
                }
                Release::At(at) => Some(at),
                Release::Paused if cancel.is_some() => Some(crate::clock::now()),
                Release::Paused => Some(PARKED),
                Release::Final => None,
            };
        }
        if new.leaves {
            self.leave(new.run);
        }
        let signals = match new.concurrency_key {
            Some(key) => self.hand_over(&key, new.run),
            None => Vec::new(),
        };
        (Ack::Stored { cancel }, signals)
    }

    pub(super) fn hand_over(&mut self, key: &str, from: RunId) -> Vec<Signal> {
        if self.keys.get(key) != Some(&from) {
            return Vec::new();
        }
        let waits =
            |stored: &&mut Stored| stored.run.concurrency_key.as_deref() == Some(key) && stored.waits();
        match self.runs.values_mut().filter(waits).min_by_key(|stored| stored.ticket) {
            Some(heir) => {
                let (id, gates) = (heir.run.id, heir.run.gates.clone());
                self.keys.insert(key.to_owned(), id);
                self.enter(id, &gates);
                Vec::new()
            }
            None => {
                self.keys.remove(key);
                Vec::new()
            }
        }
    }

    pub(super) fn renew(&mut self, worker: &Worker) {
        let known = Known { worker: worker.clone(), renewed: Some(crate::clock::now()) };
        self.workers.insert(worker.id, known);
    }

    pub(super) fn retire(&mut self, worker: WorkerId) {
        if let Some(known) = self.workers.get_mut(&worker) {
            known.renewed = None;
        }
    }

    pub(super) fn claim(&mut self, worker: &Worker, limit: usize, abandoned: Option<Duration>) -> Vec<Run> {
        self.claim_among(worker, limit, abandoned, None)
    }

    pub(super) fn claim_one(&mut self, worker: &Worker, run: RunId) -> Option<Run> {
        self.claim_among(worker, 1, None, Some(run)).pop()
    }

    fn claim_among(
        &mut self,
        worker: &Worker,
        limit: usize,
        abandoned: Option<Duration>,
        only: Option<RunId>,
    ) -> Vec<Run> {
        let now = crate::clock::now();
        let lost = |owner: &WorkerId| match (abandoned, self.workers.get(owner)) {
            (Some(after), Some(known)) => !known.is_alive(after),
            _ => false,
        };
        let able = |run: &Run| {
            let has = |task: &str| worker.tasks.iter().any(|known| known == task);
            run.definition.tasks.iter().all(|step| has(step.task_name()))
                && run.definition.runs_on.as_ref().is_none_or(|label| worker.labels.contains(label))
                && run.head.host_id.as_ref().is_none_or(|host| {
                    *host == worker.host_id
                        || run.head.cancel == Some(Cancel::Forced)
                            && abandoned.is_some_and(|after| !self.is_alive(host, after))
                })
        };
        let found: Vec<(RunId, i32)> = self
            .runs
            .values()
            .filter(|stored| only.is_none_or(|only| stored.run.id == only) && able(&stored.run))
            .filter_map(|stored| match stored.run.head.owner {
                None => stored.claimable_at.filter(|at| *at <= now).map(|_| (stored.run.id, 0)),
                Some(owner) => lost(&owner).then_some((stored.run.id, 1)),
            })
            .take(limit)
            .collect();
        found.into_iter().filter_map(|(id, takeover)| self.take(id, takeover, worker.id, now)).collect()
    }

    /// Whether a process of this machine is.
    fn is_alive(&self, host_id: &str, lost_after: Duration) -> bool {
        self.workers.values().any(|known| known.worker.host_id == host_id && known.is_alive(lost_after))
    }

    fn take(&mut self, id: RunId, takeover: i32, owner: WorkerId, now: Timestamp) -> Option<Run> {
        let stored = self.runs.get_mut(&id)?;
        stored.claimable_at = None;
        let head = &mut stored.run.head;
        head.owner = Some(owner);
        head.epoch += 1;
        head.version += 1;
        head.takeovers += takeover;
        head.started_at.get_or_insert(now);
        head.event_seq += i64::from(head.status == RunStatus::Queued);
        if matches!(head.status, RunStatus::Queued | RunStatus::Waiting) {
            head.status = RunStatus::Running;
        }
        self.run(id)
    }

    pub(super) fn next_due(&self) -> Option<Duration> {
        let due = self.runs.values().filter_map(|stored| stored.claimable_at).min()?;
        Some(Duration::try_from(due.duration_since(crate::clock::now())).unwrap_or_default())
    }

    pub(super) fn run(&self, id: RunId) -> Option<Run> {
        let run = &self.runs.get(&id)?.run;
        let mut copy = Run::load(
            run.id,
            run.definition.clone(),
            run.definition_hash.clone(),
            run.caller.clone(),
            run.input.clone(),
            run.parent,
            run.concurrency_key.clone(),
            run.created_at,
            run.head.clone(),
            run.steps.clone(),
        );
        copy.gates.clone_from(&run.gates);
        Some(copy)
    }

    pub(super) fn list(&self, filter: &RunFilter) -> Vec<Run> {
        let wanted = |run: &Run| {
            filter.caller.is_none_or(|caller| run.caller.id == caller)
                && filter.status.is_none_or(|status| run.head.status == status)
                && filter.flow.as_ref().is_none_or(|flow| run.definition.name == *flow)
                && filter.before.is_none_or(|before| run.id < before)
        };
        let ids = self.runs.values().rev().filter(|stored| wanted(&stored.run)).map(|stored| stored.run.id);
        ids.take(filter.limit)
            .filter_map(|id| {
                let mut run = self.run(id)?;
                run.steps.clear();
                Some(run)
            })
            .collect()
    }

    pub(super) fn standing(&self, run: &Run) -> Standing {
        let Some(stored) = self.runs.get(&run.id) else { return Standing::default() };
        let owner = stored.run.head.owner.and_then(|owner| self.workers.get(&owner));
        let holder =
            run.concurrency_key.as_ref().and_then(|key| self.keys.get(key)).filter(|id| **id != run.id);
        let ahead = self.runs.values().filter(|other| {
            other.run.concurrency_key.is_some()
                && other.run.concurrency_key == run.concurrency_key
                && other.waits()
                && other.ticket < stored.ticket
        });
        let able = self.workers.values().filter(|known| {
            known.is_alive(LOST_AFTER)
                && run.definition.runs_on.as_ref().is_none_or(|label| known.worker.labels.contains(label))
                && run.head.host_id.as_ref().is_none_or(|host| {
                    *host == known.worker.host_id
                        || run.head.cancel == Some(Cancel::Forced) && !self.is_alive(host, LOST_AFTER)
                })
        });
        Standing {
            host: owner.map(|known| known.worker.host.clone()),
            heartbeat_age_s: owner.map(|known| known.age().map_or(f64::INFINITY, |age| age.as_secs_f64())),
            key_holder: holder.copied(),
            key_queue: ahead.count() as i64,
            limit: self.limit_of(run.id),
            pause: self.pause_of(&run.definition.name),
            doing: stored.doing(run.current_step()),
            able_workers: able.count() as i64,
        }
    }
}

pub(super) fn write(stored: &mut Stored, new: &Checkpoint) {
    stored.run.head = new.head.clone();
    for step in &new.steps {
        match stored.run.steps.iter_mut().find(|known| known.seq == step.seq) {
            Some(known) => *known = step.clone(),
            None => stored.run.steps.push(step.clone()),
        }
    }
    stored.events.extend(new.events.iter().cloned());
}
