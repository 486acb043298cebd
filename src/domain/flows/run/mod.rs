//! A run: one execution of a flow, as a state machine without I/O.
//!
//! The engine asks [`Run::next`] what to do, does it, and tells the run how it ended by one of the transitions in
//! `forward` and `backward`. What changed since the last durable write is collected and taken by [`Run::checkpoint`].

mod backward;
mod failure;
mod forward;
mod reach;
mod retry;
mod status;

pub use failure::Failure;
pub use status::{Cause, RunError, RunStatus};

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::definition::{Definition, StepDefinition};
use super::event::{Event, EventKind};
use super::gate::Gate;
use super::reference::Scope;
use super::secret::Given;
use super::step::{Step, StepStatus, UndoStatus};
use super::store::{Checkpoint, Release};
use crate::trace::TraceParent;
use crate::users::Caller;
use crate::{Cancel, RunId, WorkerId};

/// The part of a run that changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    pub status: RunStatus,
    pub cause: Option<Cause>,
    pub error: Option<RunError>,
    /// Position of the step that runs or comes next; none once the run is over or being undone.
    pub cursor: Option<usize>,
    pub owner: Option<WorkerId>,
    /// Raised by each claim: a write under an older epoch is refused.
    pub epoch: i64,
    /// Raised by each write.
    pub version: i64,
    /// Number of the last event.
    pub event_seq: i64,
    /// Claims from dead owners since a step last ended.
    pub takeovers: i32,
    /// How it was asked to end, if it was.
    pub cancel: Option<Cancel>,
    /// 0 to 100, never going back; 100 means succeeded.
    pub percent: u8,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    /// When it goes on, while it waits.
    pub wake_at: Option<Timestamp>,
    /// The machine that a started step's work lives on; no other takes the run.
    pub host_id: Option<String>,
    /// A retry took its steps over; it can be undone or retried no more.
    pub superseded_by: Option<RunId>,
}

#[derive(Clone, Debug)]
pub struct Run {
    pub id: RunId,
    pub definition: Arc<Definition>,
    pub definition_hash: Arc<str>,
    pub caller: Caller,
    pub input: Arc<Value>,
    /// The run that this one is a retry of.
    pub parent: Option<RunId>,
    /// With its references resolved.
    pub concurrency_key: Option<String>,
    /// Whose limits it counts against.
    pub gates: Vec<Gate>,
    pub created_at: Timestamp,
    /// Of the request that it was started by.
    pub trace: Option<TraceParent>,
    pub head: Head,
    /// In order of start.
    pub steps: Vec<Step>,
    /// Secrets that this process gave to its steps; in memory alone.
    pub given: Given,
    outputs: Arc<BTreeMap<String, Arc<Value>>>,
    /// Positions in `steps` that changed since the last checkpoint.
    dirty: BTreeSet<usize>,
    /// How many of `steps` the store has, in whatever state; those after them are new to it.
    stored: usize,
    events: Vec<Event>,
    changed: bool,
}

/// What the engine is to do with a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Start the step at this position of the definition.
    Start(usize),
    /// Go on with the attempt at this position of the ledger: its process died, or its time has come.
    Resume(usize),
    /// Take back the step at this position of the ledger.
    Undo(usize),
    /// It is over.
    Nothing,
}

/// What starting a run needs to know.
pub struct Start {
    pub definition: Arc<Definition>,
    pub definition_hash: Arc<str>,
    pub caller: Caller,
    pub input: Arc<Value>,
    pub parent: Option<RunId>,
}

impl Run {
    /// A run nobody has claimed yet. The concurrency key's references were checked with the definition.
    pub fn new(start: Start, now: Timestamp) -> Self {
        let Start { definition, definition_hash, caller, input, parent } = start;
        let key = definition.concurrency_key.as_ref().map(|template| {
            let scope = Scope { input: &input, caller: &caller, outputs: &BTreeMap::new(), secrets: None };
            match scope.resolve(&Value::String(template.clone())) {
                Ok(Value::String(key)) => key,
                Ok(other) => other.to_string(),
                Err(_) => template.clone(),
            }
        });
        let head = Head {
            status: RunStatus::Queued,
            cause: None,
            error: None,
            cursor: Some(definition.start()),
            owner: None,
            epoch: 0,
            version: 1,
            event_seq: 1,
            takeovers: 0,
            cancel: None,
            percent: 0,
            started_at: None,
            finished_at: None,
            wake_at: None,
            host_id: None,
            superseded_by: None,
        };
        Self::load(
            RunId::new(),
            definition,
            definition_hash,
            caller,
            input,
            parent,
            key,
            now,
            head,
            Vec::new(),
        )
    }

    /// A run as the store holds it.
    #[allow(clippy::too_many_arguments, reason = "one call per store, and every field is meant")]
    pub fn load(
        id: RunId,
        definition: Arc<Definition>,
        definition_hash: Arc<str>,
        caller: Caller,
        input: Arc<Value>,
        parent: Option<RunId>,
        concurrency_key: Option<String>,
        created_at: Timestamp,
        head: Head,
        steps: Vec<Step>,
    ) -> Self {
        let stored = steps.len();
        let outputs = steps
            .iter()
            .filter(|step| step.status == StepStatus::Succeeded)
            .filter_map(|step| Some((step.name.clone(), step.output.clone()?)))
            .collect();
        Self {
            id,
            definition,
            definition_hash,
            caller,
            input,
            parent,
            concurrency_key,
            gates: Vec::new(),
            created_at,
            trace: None,
            head,
            steps,
            given: Given::default(),
            outputs: Arc::new(outputs),
            dirty: BTreeSet::new(),
            stored,
            events: Vec::new(),
            changed: false,
        }
    }

    /// What is to be done now.
    pub fn next(&self) -> Next {
        if self.head.status.is_final() {
            return Next::Nothing;
        }
        if self.head.status == RunStatus::Undoing {
            let wanted = |step: &Step| matches!(step.undo, UndoStatus::Pending | UndoStatus::Running);
            return self.steps.iter().rposition(wanted).map_or(Next::Nothing, Next::Undo);
        }
        let open = |step: &Step| !step.status.is_over();
        match (self.steps.iter().rposition(open), self.head.cursor) {
            (Some(position), _) => Next::Resume(position),
            (None, Some(index)) => Next::Start(index),
            (None, None) => Next::Nothing,
        }
    }

    /// What references in the input of a step may see now.
    pub fn scope<'a>(&'a self, secrets: Option<&'a Given>) -> Scope<'a> {
        Scope { input: &self.input, caller: &self.caller, outputs: &self.outputs, secrets }
    }

    /// Outputs of the steps that succeeded.
    pub fn outputs(&self) -> &Arc<BTreeMap<String, Arc<Value>>> {
        &self.outputs
    }

    /// The last attempt at the step at this position of the definition.
    pub fn last_attempt(&self, index: usize) -> Option<&Step> {
        self.steps.iter().rev().find(|step| step.index == index)
    }

    /// The weight of the steps that are done, and of all.
    pub fn weights(&self) -> (u32, u32) {
        let weight = |done: bool| {
            let counted =
                self.definition.tasks.iter().filter(|step| !done || self.outputs.contains_key(&step.name));
            counted.map(StepDefinition::weight).sum::<u32>()
        };
        (weight(true), weight(false).max(1))
    }

    /// The name of the step that runs or comes next.
    pub fn current_step(&self) -> Option<&str> {
        self.head.cursor.map(|cursor| self.definition.tasks[cursor].name.as_str())
    }

    /// Something changed that is not durable yet.
    pub fn is_dirty(&self) -> bool {
        self.changed
    }

    /// Ended steps whose checkpoint rides with the next write.
    pub fn has_unwritten_output(&self) -> bool {
        self.dirty.iter().any(|position| self.steps[*position].status == StepStatus::Succeeded)
    }

    /// Takes what changed since the last one, to be written under `owner`. The run counts itself one version on.
    pub fn checkpoint(&mut self, owner: WorkerId, release: Option<Release>) -> Checkpoint {
        let version = self.head.version;
        self.head.version += 1;
        self.changed = false;
        let dirty = std::mem::take(&mut self.dirty);
        let stored = std::mem::replace(&mut self.stored, self.steps.len());
        let known_steps = dirty.range(..stored).count();
        let steps = dirty.into_iter().map(|position| self.steps[position].clone()).collect();
        Checkpoint {
            run: self.id,
            owner,
            epoch: self.head.epoch,
            version,
            head: self.head.clone(),
            steps,
            known_steps,
            events: std::mem::take(&mut self.events),
            release,
            concurrency_key: self.concurrency_key.clone().filter(|_| release == Some(Release::Final)),
            leaves: !self.gates.is_empty() && release == Some(Release::Final),
        }
    }

    fn emit(&mut self, kind: EventKind, at: Timestamp, step: Option<(String, u32)>, data: Value) {
        let number = self.count_event();
        let (step, attempt) = step.unzip();
        self.events.push(Event { number, kind, at, step, attempt, data });
    }

    fn count_event(&mut self) -> i64 {
        self.head.event_seq += 1;
        self.changed = true;
        self.head.event_seq
    }

    fn touch(&mut self, position: usize) {
        self.dirty.insert(position);
        self.changed = true;
    }
}
