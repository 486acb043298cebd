//! The events of a run, put together from what is stored of it.

use crate::RunId;
use crate::flows::event::{Event, EventKind};
use crate::flows::run::RunStatus;
use crate::flows::step::StepStatus;
use crate::flows::store::EVENTS_BYTES;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::state::{State, Stored};

impl Stored {
    /// What this step last said of its progress.
    pub(super) fn doing(&self, step: Option<&str>) -> Option<String> {
        let of_step = |event: &&Event| event.kind == EventKind::Progress && event.step.as_deref() == step;
        let last = self.events.iter().rev().find(of_step)?;
        last.data["message"].as_str().map(str::to_owned)
    }
}

impl State {
    pub(super) fn events(&self, run: RunId, after: i64, limit: usize) -> (Vec<Event>, bool) {
        let Some(stored) = self.runs.get(&run) else { return (Vec::new(), false) };
        let mut all = self.all_events(run);
        all.retain(|event| event.number > after);
        all.truncate(limit);
        let mut bytes = 0;
        all.retain(|event| {
            let room = bytes < EVENTS_BYTES;
            bytes += event.data.to_string().len();
            room
        });
        let last = all.last().map_or(after, |event| event.number);
        let head = &stored.run.head;
        (all, head.finished_at.is_some() && last >= head.event_seq)
    }

    pub(super) fn all_events(&self, run: RunId) -> Vec<Event> {
        let Some(stored) = self.runs.get(&run) else { return Vec::new() };
        let head = &stored.run.head;
        let mut all: Vec<Event> = stored.events.clone();
        all.push(of_run(1, RunStatus::Queued, stored.run.created_at, Value::Null));
        all.extend(head.started_at.map(|at| of_run(2, RunStatus::Running, at, Value::Null)));
        let error = head.error.as_ref().map_or(Value::Null, |error| json!(error));
        all.extend(head.finished_at.map(|at| of_run(head.event_seq, head.status, at, error)));
        for step in &stored.run.steps {
            let event = |number, kind, at, data| Event {
                number,
                kind,
                at,
                step: Some(step.name.clone()),
                attempt: Some(step.attempt),
                data,
            };
            all.push(event(
                step.started_event,
                EventKind::StepStarted,
                step.started_at,
                json!({"task": step.task}),
            ));
            if let (Some(number), Some(at)) = (step.finished_event, step.finished_at) {
                let ms = at.duration_since(step.started_at).as_millis() as i64;
                let data = match &step.error {
                    Some(error) => json!({"code": error.code, "detail": error.detail}),
                    None => json!({"duration_ms": ms}),
                };
                let kind = match step.status {
                    StepStatus::Succeeded => EventKind::StepSucceeded,
                    StepStatus::Unknown => EventKind::StepUnknown,
                    _ => EventKind::StepFailed,
                };
                all.push(event(number, kind, at, data));
            }
        }
        all.sort_by_key(|event| event.number);
        all
    }
}

fn of_run(number: i64, status: RunStatus, at: Timestamp, data: Value) -> Event {
    Event { number, kind: EventKind::Run(status), at, step: None, attempt: None, data }
}
