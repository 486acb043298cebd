//! Limits and pauses.

use std::collections::{BTreeSet, VecDeque};

use jiff::Timestamp;

use super::state::State;
use crate::RunId;
use crate::flows::gate::{Gate, LimitQueue, Pause};
use crate::flows::run::Run;
use crate::flows::store::Signal;

/// When a run that waits for the end of a pause may be claimed: never, until it is brought forward.
pub(super) const PARKED: Timestamp = Timestamp::MAX;

#[derive(Default)]
pub(super) struct Places {
    at_once: Option<usize>,
    taken: BTreeSet<RunId>,
    /// With the gates that come after this one.
    waiting: VecDeque<(RunId, Vec<Gate>)>,
}

impl State {
    /// Lets a run through its gates, as far as there are places. True: it has passed all.
    pub(super) fn enter(&mut self, run: RunId, gates: &[Gate]) -> bool {
        let Some((first, later)) = gates.split_first() else {
            self.free(run);
            return true;
        };
        self.places.entry(first.clone()).or_default().waiting.push_back((run, later.to_vec()));
        self.fill(first);
        gates.iter().all(|gate| self.places.get(gate).is_some_and(|places| places.taken.contains(&run)))
    }

    fn free(&mut self, run: RunId) {
        let Some(stored) = self.runs.get_mut(&run) else { return };
        if stored.waits() {
            stored.claimable_at = Some(crate::clock::now());
            self.signals.push(Signal::Claimable);
        }
    }

    fn fill(&mut self, gate: &Gate) {
        while let Some(places) = self.places.get_mut(gate)
            && places.at_once.is_none_or(|most| places.taken.len() < most)
            && let Some((heir, later)) = places.waiting.pop_front()
        {
            places.taken.insert(heir);
            self.enter(heir, &later);
        }
    }

    /// The run is over, or waits no more.
    pub(super) fn leave(&mut self, run: RunId) {
        let gates: Vec<Gate> = self.places.keys().cloned().collect();
        for places in self.places.values_mut() {
            places.taken.remove(&run);
            places.waiting.retain(|(waiting, _)| *waiting != run);
        }
        for gate in gates {
            self.fill(&gate);
        }
    }

    /// What a new run says of the limit of its flow.
    pub(super) fn note_limit(&mut self, run: &Run) {
        if let (Some(most), None) = (run.definition.at_once, run.parent) {
            let gate = Gate::Flow(run.definition.name.clone());
            self.places.entry(gate).or_default().at_once = Some(most as usize);
        }
    }

    pub(super) fn set_limits(&mut self, limits: &[(Gate, Option<u32>)]) {
        for (gate, most) in limits {
            self.places.entry(gate.clone()).or_default().at_once = most.map(|most| most as usize);
            self.fill(gate);
        }
    }

    pub(super) fn limit_of(&self, run: RunId) -> Option<LimitQueue> {
        self.places.iter().find_map(|(gate, places)| {
            let ahead = places.waiting.iter().position(|(waiting, _)| *waiting == run)?;
            Some(LimitQueue { gate: gate.clone(), at_once: places.at_once? as i64, ahead: ahead as i64 })
        })
    }

    pub(super) fn pause(&mut self, pause: Pause) -> Pause {
        if let Some(known) = self.pauses.iter().find(|known| known.gate == pause.gate) {
            return known.clone();
        }
        self.pauses.push(pause.clone());
        self.signals.push(Signal::Pauses);
        pause
    }

    pub(super) fn resume(&mut self, gate: &Gate) -> bool {
        let before = self.pauses.len();
        self.pauses.retain(|pause| pause.gate != *gate);
        self.signals.push(Signal::Pauses);
        self.wake_paused();
        self.pauses.len() < before
    }

    pub(super) fn pause_of(&self, flow: &str) -> Option<Pause> {
        let own = self.pauses.iter().filter(|pause| pause.gate.is_before(flow));
        own.min_by_key(|pause| pause.since).cloned()
    }

    pub(super) fn wake_paused(&mut self) {
        let pauses = &self.pauses;
        let free = |flow: &str| pauses.iter().all(|pause| !pause.gate.is_before(flow));
        for stored in self.runs.values_mut() {
            if stored.claimable_at == Some(PARKED) && free(&stored.run.definition.name) {
                stored.claimable_at = Some(crate::clock::now());
                self.signals.push(Signal::Claimable);
            }
        }
    }

    pub(super) fn under_way(&self, gate: &Gate) -> i64 {
        let runs = self.runs.values().map(|stored| &stored.run);
        let busy = |run: &&Run| run.head.owner.is_some() && gate.is_before(&run.definition.name);
        runs.filter(busy).count() as i64
    }
}
