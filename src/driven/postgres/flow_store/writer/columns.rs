//! What a batch writes, column by column.

use flow_domain::RunId;
use flow_domain::flows::event::Event;
use flow_domain::flows::run::Run;
use flow_domain::flows::step::Step;
use flow_domain::flows::store::{Checkpoint, Release};
use jiff::Timestamp;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::Write;
use super::statement::Shape;
use crate::driven::postgres::flow_store::gates::parked;
use crate::driven::postgres::flow_store::rows::reason_json;

type Parameters<'a> = Vec<&'a (dyn ToSql + Sync)>;

/// Declares a struct of columns and gives them as parameters, in order.
macro_rules! arrays {
    ($name:ident { $($field:ident: $type:ty,)+ }) => {
        #[derive(Default)]
        struct $name {
            $($field: Vec<$type>,)+
        }

        impl $name {
            /// The columns, or the one value of each.
            fn push_to<'a>(&'a self, single: bool, parameters: &mut Parameters<'a>) {
                $(match self.$field.first() {
                    Some(value) if single => parameters.push(value),
                    _ => parameters.push(&self.$field),
                })+
            }
        }
    };
}

arrays!(Created {
    id: Uuid, owner: Option<Uuid>, epoch: i64, event_seq: i64, cursor: Option<i32>, flow: String,
    flow_version: String, caller_id: Uuid, caller_role: &'static str, parent_id: Option<Uuid>,
    created_at: Timestamp, input: String, trace: Option<String>,
});

arrays!(Moved {
    id: Uuid, owner: Uuid, epoch: i64, version: i64, released: bool, event_seq: i64, takeovers: i32,
    cursor: Option<i32>, percent: i16, status: &'static str, cause: Option<&'static str>, error: Option<String>,
    finished_at: Option<Timestamp>, wake_at: Option<Timestamp>, claimable_at: Option<Timestamp>,
    host: Option<String>,
});

arrays!(Stepped {
    run_id: Uuid, seq: i32, position: i32, attempt: i32, status: &'static str, undo_status: &'static str,
    undoable: bool, undo_attempt: i32, started_event: i64, finished_event: Option<i64>, started_at: Timestamp,
    finished_at: Option<Timestamp>, waited_until: Option<Timestamp>, name: String, task: String, input: String,
    output: Option<String>, error: Option<String>, undo_error: Option<String>, secrets: Option<String>,
});

arrays!(Told {
    run_id: Uuid, number: i64, kind: &'static str, at: Timestamp, step: Option<String>, attempt: Option<i32>,
    data: Option<String>,
});

#[derive(Default)]
pub(super) struct Arrays {
    created: Created,
    moved: Moved,
    stepped: Stepped,
    told: Told,
    keys: Vec<(String, RunId)>,
    leaving: Vec<RunId>,
    /// Steps that the store has already.
    known_steps: usize,
    lowest: Uuid,
    highest: Uuid,
}

impl Arrays {
    pub(super) fn of(writes: &[Write]) -> Self {
        let mut arrays = Self::default();
        for write in writes {
            match write {
                Write::Create { run, .. } => arrays.created.push(run),
                Write::Checkpoint { checkpoint, .. } => arrays.push(checkpoint),
            }
        }
        arrays.lowest = arrays.moved.id.iter().min().copied().unwrap_or_default();
        arrays.highest = arrays.moved.id.iter().max().copied().unwrap_or_default();
        arrays
    }

    /// The least that does for this batch.
    pub(super) fn shape(&self) -> Shape {
        let counts = (self.created.id.len(), self.moved.id.len(), self.stepped.run_id.len());
        match counts {
            _ if self.known_steps > 0 || !self.told.run_id.is_empty() => Shape::Any,
            (0, 1, 1) => Shape::OneStep,
            (1, 0, 0) => Shape::OneRun,
            (0, _, _) => Shape::Steps,
            _ => Shape::RunsAndSteps,
        }
    }

    /// In the order of the statement's numbers.
    pub(super) fn parameters(&self, shape: Shape) -> Parameters<'_> {
        let mut parameters = Vec::with_capacity(58);
        let single = matches!(shape, Shape::OneRun | Shape::OneStep);
        if shape != Shape::OneRun {
            self.moved.push_to(single, &mut parameters);
            self.stepped.push_to(single, &mut parameters);
        }
        if !single {
            parameters.extend([&self.lowest as &(dyn ToSql + Sync), &self.highest]);
        }
        if matches!(shape, Shape::OneRun | Shape::RunsAndSteps | Shape::Any) {
            self.created.push_to(single, &mut parameters);
        }
        if shape == Shape::Any {
            self.told.push_to(false, &mut parameters);
        }
        parameters
    }

    /// Keys whose holders end with this batch.
    pub(super) fn handed_on(&self) -> &[(String, RunId)] {
        &self.keys
    }

    /// Runs that count against limits and end with this batch.
    pub(super) fn leaving(&self) -> &[RunId] {
        &self.leaving
    }

    fn push(&mut self, checkpoint: &Checkpoint) {
        self.moved.push(checkpoint);
        self.known_steps += checkpoint.known_steps;
        for step in &checkpoint.steps {
            self.stepped.push(checkpoint.run, step);
        }
        for event in &checkpoint.events {
            self.told.push(checkpoint.run, event);
        }
        if let Some(key) = &checkpoint.concurrency_key {
            self.keys.push((key.clone(), checkpoint.run));
        }
        if checkpoint.leaves {
            self.leaving.push(checkpoint.run);
        }
    }
}

impl Created {
    fn push(&mut self, run: &Run) {
        self.id.push(run.id.0);
        self.owner.push(run.head.owner.map(|owner| owner.0));
        self.epoch.push(run.head.epoch);
        self.event_seq.push(run.head.event_seq);
        self.cursor.push(run.head.cursor.map(|cursor| cursor as i32));
        self.flow.push(run.definition.name.clone());
        self.flow_version.push(run.definition_hash.to_string());
        self.caller_id.push(run.caller.id.0);
        self.caller_role.push(run.caller.role.as_str());
        self.parent_id.push(run.parent.map(|parent| parent.0));
        self.created_at.push(run.created_at);
        self.input.push(run.input.to_string());
        self.trace.push(run.trace.as_ref().map(ToString::to_string));
    }
}

impl Moved {
    fn push(&mut self, checkpoint: &Checkpoint) {
        let head = &checkpoint.head;
        self.id.push(checkpoint.run.0);
        self.owner.push(checkpoint.owner.0);
        self.epoch.push(checkpoint.epoch);
        self.version.push(checkpoint.version);
        self.released.push(checkpoint.release.is_some());
        self.event_seq.push(head.event_seq);
        self.takeovers.push(head.takeovers);
        self.cursor.push(head.cursor.map(|cursor| cursor as i32));
        self.percent.push(head.percent.into());
        self.status.push(head.status.as_str());
        self.cause.push(head.cause.map(|cause| cause.as_str()));
        self.error.push(head.error.as_ref().and_then(|error| serde_json::to_string(error).ok()));
        self.finished_at.push(head.finished_at);
        self.wake_at.push(head.wake_at);
        self.host.push(head.host_id.clone());
        self.claimable_at.push(match checkpoint.release {
            Some(Release::At(at)) => Some(at),
            Some(Release::Paused) => Some(parked()),
            Some(Release::Final) | None => None,
        });
    }
}

impl Stepped {
    fn push(&mut self, run: RunId, step: &Step) {
        self.run_id.push(run.0);
        self.seq.push(step.seq);
        self.position.push(step.index as i32);
        self.attempt.push(step.attempt as i32);
        self.status.push(step.status.as_str());
        self.undo_status.push(step.undo.as_str());
        self.undoable.push(step.undoable);
        self.undo_attempt.push(step.undo_attempt as i32);
        self.started_event.push(step.started_event);
        self.finished_event.push(step.finished_event);
        self.started_at.push(step.started_at);
        self.finished_at.push(step.finished_at);
        self.waited_until.push(step.waited_until);
        self.name.push(step.name.clone());
        self.task.push(step.task.clone());
        self.input.push(step.input.to_string());
        self.output.push(step.output.as_ref().map(|output| output.to_string()));
        self.error.push(step.error.as_ref().map(reason_json));
        self.undo_error.push(step.undo_error.as_ref().map(reason_json));
        self.secrets.push((!step.secrets.is_empty()).then(|| serde_json::json!(step.secrets).to_string()));
    }
}

impl Told {
    fn push(&mut self, run: RunId, event: &Event) {
        self.run_id.push(run.0);
        self.number.push(event.number);
        self.kind.push(event.kind.as_str());
        self.at.push(event.at);
        self.step.push(event.step.clone());
        self.attempt.push(event.attempt.map(|attempt| attempt as i32));
        self.data.push((!event.data.is_null()).then(|| event.data.to_string()));
    }
}
