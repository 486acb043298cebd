//! How a run is taken back: after a failure, a cancel, or by an operator.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Cause, Failure, Run, RunError, RunStatus};
use crate::flows::definition::OnFailure;
use crate::flows::event::{Event, EventKind};
use crate::flows::outcome::Reason;
use crate::flows::step::UndoStatus;

const UNDO_FAILED: &str = "run.undo_failed";

impl Run {
    /// A cancel that finds no attempt under way.
    pub fn cancel(&mut self, now: Timestamp) {
        if let Some(position) = self.steps.iter().rposition(|step| !step.status.is_over()) {
            return self.fail_step(position, Failure::cancelled(), now);
        }
        self.turn_back(Cause::Cancel, now);
    }

    /// From here on the run goes backwards, or is over if there is nothing to take back.
    pub(super) fn turn_back(&mut self, cause: Cause, now: Timestamp) {
        self.head.cause = Some(cause);
        self.head.cursor = None;
        if cause == Cause::Cancel {
            self.head.error = None;
        }
        let wanted = self.definition.on_failure == OnFailure::Undo && self.mark_undo();
        match (wanted, cause) {
            (true, _) => self.start_undoing(now),
            (false, Cause::Cancel) => self.finish(RunStatus::Cancelled, now),
            (false, _) => self.finish(RunStatus::Failed, now),
        }
    }

    /// An operator takes an ended run back. `false` when there is nothing to take back.
    pub fn reopen(&mut self, now: Timestamp) -> bool {
        for position in 0..self.steps.len() {
            if self.steps[position].undo == UndoStatus::Failed {
                self.steps[position].undo = UndoStatus::Pending;
                self.steps[position].undo_attempt = 0;
                self.touch(position);
            }
        }
        self.mark_undo();
        if !self.steps.iter().any(|step| step.undo == UndoStatus::Pending) {
            return false;
        }
        // The end that was read from the head so far becomes a row of its own.
        if let Some(finished_at) = self.head.finished_at.take() {
            let kind = EventKind::Run(self.head.status);
            let number = self.head.event_seq;
            self.events.push(Event {
                number,
                kind,
                at: finished_at,
                step: None,
                attempt: None,
                data: Value::Null,
            });
        }
        self.start_undoing(now);
        true
    }

    fn start_undoing(&mut self, now: Timestamp) {
        self.head.status = RunStatus::Undoing;
        self.head.wake_at = None;
        self.emit(EventKind::Run(RunStatus::Undoing), now, None, Value::Null);
    }

    /// Marks every started step that can be undone and was not; a step's last undoable attempt stands for it.
    fn mark_undo(&mut self) -> bool {
        let mut any = false;
        for index in 0..self.definition.tasks.len() {
            let last = self.steps.iter().rposition(|step| step.index == index && step.undoable);
            if let Some(position) = last
                && self.steps[position].undo == UndoStatus::None
            {
                self.steps[position].undo = UndoStatus::Pending;
                self.touch(position);
                any = true;
            }
        }
        any
    }

    pub fn start_undo(&mut self, position: usize, now: Timestamp) {
        let step = &mut self.steps[position];
        step.undo = UndoStatus::Running;
        step.undo_attempt += 1;
        let who = Some((step.name.clone(), step.undo_attempt));
        self.head.wake_at = None;
        self.emit(EventKind::UndoStarted, now, who, Value::Null);
        self.touch(position);
    }

    pub fn finish_undo(&mut self, position: usize, now: Timestamp) {
        let step = &mut self.steps[position];
        step.undo = UndoStatus::Done;
        step.undo_error = None;
        let who = Some((step.name.clone(), step.undo_attempt));
        self.emit(EventKind::UndoDone, now, who, Value::Null);
        self.touch(position);
        self.head.takeovers = 0;
        if !self.steps.iter().any(|step| step.undo == UndoStatus::Pending) {
            let status = match self.head.cause {
                Some(Cause::Cancel) => RunStatus::Cancelled,
                _ => RunStatus::Undone,
            };
            if self.head.error.as_ref().is_some_and(|error| error.code == UNDO_FAILED) {
                self.head.error = self.failure();
            }
            self.finish(status, now);
        }
    }

    /// What the run failed of, before its undo did; none if it was cancelled or had succeeded.
    fn failure(&self) -> Option<RunError> {
        let failed = self.head.cause.filter(|cause| *cause != Cause::Cancel);
        let step = failed.and(self.steps.iter().rev().find(|step| step.error.is_some()))?;
        let Reason { code, detail } = step.error.clone()?;
        Some(RunError { code, detail, step: Some(step.name.clone()) })
    }

    /// The undo failed; it is tried again at `again`, or the run stops here for an operator.
    pub fn fail_undo(&mut self, position: usize, reason: Reason, again: Option<Timestamp>, now: Timestamp) {
        let step = &mut self.steps[position];
        step.undo = if again.is_some() { UndoStatus::Pending } else { UndoStatus::Failed };
        let who = Some((step.name.clone(), step.undo_attempt));
        let name = step.name.clone();
        let data = json!({"code": reason.code, "detail": reason.detail, "next_attempt_at": again});
        step.undo_error = Some(reason.clone());
        self.emit(EventKind::UndoFailed, now, who, data);
        self.touch(position);
        match again {
            Some(at) => self.head.wake_at = Some(at),
            None => {
                let detail = format!("taking back {name:?} failed: {}", reason.detail);
                self.head.error = Some(RunError { code: UNDO_FAILED.to_owned(), detail, step: Some(name) });
                self.finish(RunStatus::UndoFailed, now);
            }
        }
    }
}
