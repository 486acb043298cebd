//! Runs and steps, counted by flow, task and outcome.
//!
//! What can be counted is known at the start: the flows of the catalogue, the tasks of the registry. So the tables
//! never grow, whatever callers post, and a step's end is two look-ups and two additions.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;

use super::catalogue::Catalogue;
use super::registry::Registry;
use super::run::RunStatus;
use crate::meters::{Counter, Family, Histogram, Meters, SECONDS, Sample};

/// Flows that callers post have any name.
const POSTED: &str = "(posted)";

/// How one call of a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepEnd {
    Done,
    Retry,
    Failed,
    Waits,
    TimedOut,
    Cancelled,
    Panicked,
    Abandoned,
    Parked,
    Undone,
    UndoFailed,
}

impl StepEnd {
    const ALL: [Self; 11] = [
        Self::Done,
        Self::Retry,
        Self::Failed,
        Self::Waits,
        Self::TimedOut,
        Self::Cancelled,
        Self::Panicked,
        Self::Abandoned,
        Self::Parked,
        Self::Undone,
        Self::UndoFailed,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Retry => "retry",
            Self::Failed => "failed",
            Self::Waits => "waits",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
            Self::Panicked => "panicked",
            Self::Abandoned => "abandoned",
            Self::Parked => "parked",
            Self::Undone => "undone",
            Self::UndoFailed => "undo_failed",
        }
    }
}

type StepCounts = [Counter; StepEnd::ALL.len()];

struct FlowMeter {
    created: Counter,
    ended: [Counter; RunStatus::ALL.len()],
    took: Histogram,
    /// By task.
    steps: HashMap<String, StepCounts>,
}

impl FlowMeter {
    fn new<'a>(tasks: impl Iterator<Item = &'a str>) -> Self {
        let counts = |task: &str| (task.to_owned(), StepCounts::default());
        Self {
            created: Counter::default(),
            ended: Default::default(),
            took: Histogram::new(SECONDS),
            steps: tasks.map(counts).collect(),
        }
    }
}

pub struct FlowMeters {
    flows: HashMap<String, FlowMeter>,
    posted: FlowMeter,
    /// By task.
    steps_took: HashMap<String, Histogram>,
}

impl FlowMeters {
    pub fn new(catalogue: &Catalogue, registry: &Registry) -> Self {
        let flow = |flow: &std::sync::Arc<super::catalogue::Flow>| {
            let definition = &flow.definition;
            let tasks = definition.tasks.iter().map(|step| step.task_name());
            (definition.name.clone(), FlowMeter::new(tasks))
        };
        let tasks = || registry.iter().map(|(name, _)| name);
        Self {
            flows: catalogue.iter().map(flow).collect(),
            posted: FlowMeter::new(tasks()),
            steps_took: tasks().map(|name| (name.to_owned(), Histogram::new(SECONDS))).collect(),
        }
    }

    /// A flow of the catalogue, or one that bears the name of none.
    fn of(&self, flow: &str) -> &FlowMeter {
        self.flows.get(flow).unwrap_or(&self.posted)
    }

    pub(super) fn run_created(&self, flow: &str) {
        self.of(flow).created.add(1);
    }

    pub(super) fn run_ended(&self, flow: &str, status: RunStatus, took: Duration) {
        let meter = self.of(flow);
        if let Some(index) = RunStatus::ALL.iter().position(|known| *known == status) {
            meter.ended[index].add(1);
        }
        meter.took.took(took);
    }

    /// A posted definition may have the name of a flow of the catalogue and other tasks.
    pub(super) fn step_ended(&self, flow: &str, task: &str, end: StepEnd, took: Duration) {
        let own = self.flows.get(flow).and_then(|flow| flow.steps.get(task));
        if let Some(counts) = own.or_else(|| self.posted.steps.get(task)) {
            counts[end as usize].add(1);
        }
        if let Some(histogram) = self.steps_took.get(task) {
            histogram.took(took);
        }
    }

    fn each(&self) -> impl Iterator<Item = (&str, &FlowMeter)> {
        let known = self.flows.iter().map(|(name, meter)| (name.as_str(), meter));
        known.chain([(POSTED, &self.posted)])
    }

    /// Those that are over; a status that has not been is shown too, so that the first of it is seen as a rise.
    fn ended(&self) -> Vec<Sample> {
        let mut samples = Vec::new();
        for (flow, meter) in self.each() {
            let finals = RunStatus::ALL.iter().zip(&meter.ended).filter(|(status, _)| status.is_final());
            samples.extend(finals.map(|(status, count)| {
                Sample::new([("flow", flow), ("status", status.as_str())], count.reading())
            }));
        }
        samples
    }

    fn steps(&self) -> Vec<Sample> {
        let mut samples = Vec::new();
        for (flow, meter) in self.each() {
            for (task, counts) in &meter.steps {
                let shown = |end: StepEnd, count: &Counter| {
                    count.count() > 0 || matches!(end, StepEnd::Done | StepEnd::Failed) && flow != POSTED
                };
                let ends = StepEnd::ALL.into_iter().zip(counts).filter(|(end, count)| shown(*end, count));
                samples.extend(ends.map(|(end, count)| {
                    let labels = [("flow", flow), ("task", task), ("outcome", end.as_str())];
                    Sample::new(labels, count.reading())
                }));
            }
        }
        samples
    }
}

#[async_trait]
impl Meters for FlowMeters {
    async fn read(&self) -> Vec<Family> {
        let created = self.each().map(|(flow, meter)| Sample::new([("flow", flow)], meter.created.reading()));
        let took = self.each().map(|(flow, meter)| Sample::new([("flow", flow)], meter.took.reading()));
        let steps_took =
            self.steps_took.iter().map(|(task, took)| Sample::new([("task", task.as_str())], took.reading()));
        vec![
            Family::new("runs_created", "Runs that this process took from callers", created.collect()),
            Family::new("runs_ended", "Runs that ended in this process", self.ended()),
            Family::new("run_duration_seconds", "From a run's creation to its end", took.collect()),
            Family::new("steps", "Calls of tasks that ended in this process", self.steps()),
            Family::new("step_duration_seconds", "What one call of a task took", steps_took.collect()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meters::Reading;

    fn meters() -> FlowMeters {
        let steps = |tasks: &[&str]| FlowMeter::new(tasks.iter().copied());
        FlowMeters {
            flows: [("known".to_owned(), steps(&["noop"]))].into(),
            posted: steps(&["noop", "sleep"]),
            steps_took: [("noop".to_owned(), Histogram::new(SECONDS))].into(),
        }
    }

    fn find(samples: &[Sample], labels: &[&str]) -> Option<Reading> {
        let fits = |sample: &&Sample| {
            sample.labels.iter().map(|(_, value)| value.as_str()).eq(labels.iter().copied())
        };
        samples.iter().find(fits).map(|sample| sample.reading.clone())
    }

    #[test]
    fn whatever_is_posted_the_labels_stay_the_same() {
        let meters = meters();
        for flow in ["known", "a", "b"] {
            meters.run_ended(flow, RunStatus::Succeeded, Duration::ZERO);
            for task in ["noop", "sleep", "none"] {
                meters.step_ended(flow, task, StepEnd::Done, Duration::ZERO);
            }
        }
        let ended = meters.ended();
        assert_eq!(find(&ended, &["known", "succeeded"]), Some(Reading::Counter(1.0)));
        assert_eq!(find(&ended, &[POSTED, "succeeded"]), Some(Reading::Counter(2.0)));
        assert_eq!(find(&ended, &["known", "failed"]), Some(Reading::Counter(0.0)));
        assert_eq!(find(&ended, &["known", "running"]), None);
        let steps = meters.steps();
        assert_eq!(find(&steps, &["known", "noop", "done"]), Some(Reading::Counter(1.0)));
        assert_eq!(find(&steps, &[POSTED, "noop", "done"]), Some(Reading::Counter(2.0)));
        assert_eq!(find(&steps, &[POSTED, "sleep", "done"]), Some(Reading::Counter(3.0)));
        assert_eq!(steps.len(), 4, "{steps:?}");
    }

    #[test]
    fn each_end_has_a_place_of_its_own() {
        for (index, end) in StepEnd::ALL.into_iter().enumerate() {
            assert_eq!(end as usize, index, "{}", end.as_str());
        }
    }
}
