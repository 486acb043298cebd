//! How far a command is, in percent and in words, and how long it may still take.
//!
//! The plan gives the objects; each is one unit of work, a replaced one two. A unit weighs what such an object took
//! in earlier runs of the lab's version, and one under way counts for the part of that which has passed, but never
//! for all of it. Without earlier runs all weigh the same and only finished ones count. Where the cluster's tasks tell
//! how far a machine is, that counts.

use std::collections::BTreeMap;
use std::time::Duration;

use flow_domain::labs::machines::{MachinesAtWork, Refined, Refinement, Working};
use flow_domain::labs::{ObjectTime, Pace};
use jiff::Timestamp;

/// Where the bar stands between the phases. The last five percent are the caller's: done means the process said so.
pub const REFRESH_FROM: f64 = 3.0;
pub const REFRESH_TO: f64 = 8.0;
pub const PLANNED: f64 = 10.0;
pub const APPLIED: f64 = 95.0;

/// Nobody knows that a unit is done before it says so.
const MOST_OF_A_UNIT: f64 = 0.95;
/// What an object weighs of which nothing is known, when nothing is known of any other.
const UNKNOWN: Duration = Duration::from_secs(1);
/// Longer times are told in minutes.
const MINUTES_FROM: u64 = 120;

/// For the bar: percent and words.
pub type Progress = (u8, String);

#[derive(Default)]
pub struct Bar {
    pace: Pace,
    planned: BTreeMap<String, Planned>,
    machines: Refinement,
    percent: f64,
    /// When the command first spoke.
    started: Option<Timestamp>,
    last: Option<Timestamp>,
    /// What was last told.
    told: Option<Progress>,
    times: Vec<ObjectTime>,
}

/// What is planned for one object.
struct Planned {
    kind: String,
    /// How many there are in all, and those that are to come or under way, by their action.
    units: usize,
    open: Vec<&'static str>,
    /// Weight of what is done, and of all of it, in seconds.
    done: f64,
    all: f64,
    running: Option<(&'static str, Timestamp)>,
    id: Option<String>,
}

/// A line about one object.
pub struct Object<'a> {
    pub address: &'a str,
    pub action: &'a str,
    /// Of what is there already.
    pub id: Option<&'a str>,
    pub at: Option<Timestamp>,
}

impl Bar {
    pub fn new(pace: Pace) -> Self {
        Self { pace, ..Self::default() }
    }

    pub fn start_at(&mut self, percent: u8) {
        self.percent = f64::from(percent);
    }

    /// The time of a line that Terraform said.
    pub fn heard(&mut self, at: Option<Timestamp>) {
        self.started = self.started.or(at);
        self.last = at.or(self.last);
    }

    /// Units of the planned change; what is no change is no unit.
    pub fn plan(&mut self, address: &str, kind: &str, action: &str) {
        let open = match action {
            "create" => vec!["create"],
            "update" => vec!["update"],
            "delete" => vec!["delete"],
            "read" => vec!["read"],
            "replace" => vec!["delete", "create"],
            _ => return,
        };
        let all = open.iter().map(|action| self.weight(action, address, kind)).sum();
        let units = open.len();
        self.machines.plan(kind);
        let planned = Planned { kind: kind.to_owned(), units, open, done: 0.0, all, running: None, id: None };
        self.planned.insert(address.to_owned(), planned);
    }

    fn weight(&self, action: &str, address: &str, kind: &str) -> f64 {
        let known =
            || self.pace.kinds.iter().filter(|((of, _), _)| of == action).map(|(_, took)| *took).max();
        let took = self.pace.of(action, address, kind).or_else(known).unwrap_or(UNKNOWN);
        // A unit of no length would make its end invisible.
        took.as_secs_f64().max(0.01)
    }

    /// An object is being worked on. What is not planned is no progress: data read while planning looks like this.
    pub fn begin(&mut self, object: &Object) {
        if let Some(planned) = self.planned.get_mut(object.address)
            && let Some(action) = planned.open.iter().find(|action| **action == object.action)
        {
            planned.running = object.at.map(|at| (*action, at));
            planned.id = object.id.map(str::to_owned);
        }
    }

    /// What the cluster says of the machines among the objects.
    pub fn hear_machines(&mut self, seen: MachinesAtWork) {
        self.machines.hear(seen);
    }

    fn refined(&mut self) -> BTreeMap<String, Refined> {
        let working = self.planned.iter().filter_map(|(address, planned)| {
            let (_, since) = planned.running?;
            Some(Working { address, kind: &planned.kind, id: planned.id.as_deref(), since })
        });
        self.machines.of(&working.collect::<Vec<_>>())
    }

    /// An object is done with; `well` or not, nothing more is coming of it.
    pub fn end(&mut self, object: &Object, well: bool) {
        let Some(planned) = self.planned.get(object.address) else { return };
        let kind = planned.kind.clone();
        let weight = self.weight(object.action, object.address, &kind);
        let Some(planned) = self.planned.get_mut(object.address) else { return };
        if let Some(at) = planned.open.iter().position(|action| *action == object.action) {
            planned.open.remove(at);
            planned.done = (planned.done + weight).min(planned.all);
        }
        if let (Some((action, since)), Some(at), true) = (planned.running.take(), object.at, well) {
            let took = Duration::try_from(at.duration_since(since)).unwrap_or_default();
            let (address, action) = (object.address.to_owned(), action.to_owned());
            self.times.push(ObjectTime { address, kind, action, took });
        }
    }

    /// What to tell now of the objects; none if it is what was told last.
    pub fn objects(&mut self, now: Timestamp) -> Option<Progress> {
        let refined = self.refined();
        let (mut done, mut all, mut units, mut ended) = (0.0, 0.0, 0, 0);
        for (address, planned) in &self.planned {
            let share = refined.get(address).and_then(|it| it.share);
            let at_work = planned.running.map_or(0.0, |(action, since)| {
                if let Some(share) = share {
                    return MOST_OF_A_UNIT * share * self.weight(action, address, &planned.kind);
                }
                let known = self.pace.of(action, address, &planned.kind);
                known.map_or(0.0, |usual| {
                    passed(since, now).as_secs_f64().min(MOST_OF_A_UNIT * usual.as_secs_f64())
                })
            });
            done += (planned.done + at_work).min(planned.all);
            all += planned.all;
            units += planned.units;
            ended += planned.units - planned.open.len();
        }
        if units == 0 {
            return None;
        }
        let words = self.words(&refined, ended, units, now);
        self.advance(PLANNED + (APPLIED - PLANNED) * done / all, &words)
    }

    /// What is going on, in words: "creating web-1, 2 of 5; about 10 to 30 s left". An object of which the cluster tells
    /// comes first.
    fn words(
        &self,
        refined: &BTreeMap<String, Refined>,
        ended: usize,
        units: usize,
        now: Timestamp,
    ) -> String {
        let running = self.planned.iter().filter_map(|(address, planned)| {
            let (action, since) = planned.running?;
            let refined = refined.get(address);
            let told = refined.and_then(|refined| refined.words(address));
            let name = refined.and_then(|refined| refined.machine.as_ref()).unwrap_or(address);
            Some((told.is_none(), since, told.unwrap_or_else(|| format!("{} {name}", doing(action)))))
        });
        let mut running: Vec<_> = running.collect();
        running.sort();
        let going_on = match running.as_slice() {
            [] => format!("{ended} of {units} done"),
            [(_, _, words), others @ ..] => {
                let more =
                    if others.is_empty() { String::new() } else { format!(" and {} more", others.len()) };
                format!("{words}{more}, {} of {units}", (ended + 1).min(units))
            }
        };
        match self.left(now) {
            Some(left) => format!("{going_on}; {left}"),
            None => going_on,
        }
    }

    fn left(&self, now: Timestamp) -> Option<String> {
        let (from, to) = self.pace.left(passed(self.started?, now))?;
        // Rounded up: a promise of no time at all is never kept.
        let (from, to) = (whole_seconds(from), whole_seconds(to));
        Some(match to {
            0 => "it takes longer than usual".to_owned(),
            to if to >= MINUTES_FROM => range(from.div_ceil(60), to.div_ceil(60), "min"),
            to => range(from, to, "s"),
        })
    }

    /// Moves the bar on, never back; none if that tells nothing new.
    pub fn advance(&mut self, percent: f64, words: &str) -> Option<Progress> {
        self.percent = self.percent.max(percent.min(APPLIED));
        let progress = (self.percent as u8, words.to_owned());
        if self.told.as_ref() == Some(&progress) {
            return None;
        }
        self.told = Some(progress.clone());
        Some(progress)
    }

    /// Earlier runs are known, so that time itself is progress; or the cluster tells of its own.
    pub fn ticks(&self) -> bool {
        self.pace.runs > 0 || !self.machines.is_empty()
    }

    /// How long it took from the first line to the last, and each object.
    pub fn times(&self) -> Option<(Duration, &[ObjectTime])> {
        Some((passed(self.started?, self.last?), &self.times))
    }
}

fn passed(since: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(since)).unwrap_or_default()
}

fn whole_seconds(time: Duration) -> u64 {
    time.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX)
}

fn range(from: u64, to: u64, unit: &str) -> String {
    match from {
        0 => format!("up to {to} {unit} left"),
        from if from == to => format!("about {to} {unit} left"),
        from => format!("about {from} to {to} {unit} left"),
    }
}

fn doing(action: &str) -> &'static str {
    match action {
        "update" => "changing",
        "delete" => "removing",
        "read" => "reading",
        _ => "creating",
    }
}

#[cfg(test)]
mod tests;
