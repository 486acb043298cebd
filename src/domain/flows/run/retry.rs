//! A new run that goes on where an old one went wrong, with what still stands of it.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::{Run, RunStatus, Start};
use crate::flows::step::{Step, StepStatus, UndoStatus};
use crate::{Error, Result};

impl Run {
    /// A run of the same definition that starts at the step named `from` (default: where this one failed) and takes
    /// over the steps before it. A changed input affects `from` and what follows.
    pub fn retry(&self, from: Option<&str>, input: Option<Value>, now: Timestamp) -> Result<Run> {
        self.may_be_retried()?;
        let index = self.retry_from(from)?;
        let taken = self.standing_before(index)?;
        let mut run = Run::new(
            Start {
                definition: self.definition.clone(),
                definition_hash: self.definition_hash.clone(),
                caller: self.caller.clone(),
                input: input.map_or_else(|| self.input.clone(), Arc::new),
                parent: Some(self.id),
            },
            now,
        );
        run.head.cursor = Some(index);
        run.head.host_id = self.head.host_id.clone().filter(|_| !taken.is_empty());
        // Its first two events are its own; those of the steps it takes over follow.
        let mut number = 2;
        for (position, step) in taken.into_iter().enumerate() {
            number += 2;
            run.steps.push(Step {
                seq: position as i32 + 1,
                started_event: number - 1,
                finished_event: Some(number),
                ..step.clone()
            });
        }
        run.head.event_seq = number - 1;
        Ok(Run::load(
            run.id,
            run.definition,
            run.definition_hash,
            run.caller,
            run.input,
            run.parent,
            run.concurrency_key,
            run.created_at,
            run.head,
            run.steps,
        ))
    }

    fn may_be_retried(&self) -> Result<()> {
        if let Some(newer) = self.head.superseded_by {
            let public =
                format!("The run {newer} is a retry of this one and took its steps over; retry that one.");
            return Err(Error::conflict("run.superseded", public));
        }
        match self.head.status {
            RunStatus::Succeeded | RunStatus::Failed | RunStatus::Cancelled | RunStatus::Undone => Ok(()),
            status => {
                let public = format!("A run that is {} cannot be retried.", status.as_str());
                Err(Error::conflict("run.not_retryable", public))
            }
        }
    }

    fn retry_from(&self, from: Option<&str>) -> Result<usize> {
        let failed = self.head.error.as_ref().and_then(|error| error.step.as_deref());
        let Some(name) = from.or(failed) else { return Ok(self.definition.start()) };
        let index = self.definition.index_of(name).ok_or_else(|| {
            Error::new(crate::Kind::Malformed, "query.invalid", format!("This flow has no step {name:?}."))
        })?;
        let reached = index == self.definition.start() || self.last_attempt(index).is_some();
        let public = format!("The run never came to the step {name:?}, so it cannot go on from there.");
        reached.then_some(index).ok_or_else(|| Error::conflict("retry.never_reached", public))
    }

    /// The steps before the first attempt at this one, if none of them was taken back.
    fn standing_before(&self, index: usize) -> Result<Vec<&Step>> {
        let first = self.steps.iter().position(|step| step.index == index).unwrap_or(0);
        let before = &self.steps[..first];
        let gone = |step: &&Step| step.undo != UndoStatus::None || step.status == StepStatus::Unknown;
        match before.iter().find(gone) {
            None => Ok(before.iter().collect()),
            Some(step) => {
                let public =
                    format!("The step {:?} was taken back; retry from there or from before.", step.name);
                Err(Error::conflict("retry.undone_before", public))
            }
        }
    }
}
