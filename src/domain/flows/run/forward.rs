//! How a run moves on. Each transition changes the run in memory; the next checkpoint makes it durable.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Cause, Failure, Next, Run, RunError, RunStatus};
use crate::WorkerId;
use crate::flows::definition::Route;
use crate::flows::event::EventKind;
use crate::flows::outcome::Reason;
use crate::flows::secret::SecretVersion;
use crate::flows::step::{Step, StepStatus, UndoStatus};

/// Lines of output that make one event.
const EVENT_BYTES: usize = 32 << 10;

impl Run {
    /// Its first owner takes it, before it is even stored.
    pub fn claim(&mut self, owner: WorkerId, now: Timestamp) {
        self.head.owner = Some(owner);
        self.head.epoch += 1;
        self.head.status = RunStatus::Running;
        self.head.started_at = Some(now);
        self.head.event_seq += 1;
    }

    /// The store kept it for later: its concurrency key is held by another run.
    pub fn unclaim(&mut self) {
        self.head.owner = None;
        self.head.epoch -= 1;
        self.head.status = RunStatus::Queued;
        self.head.started_at = None;
        self.head.event_seq -= 1;
    }

    /// From now on the run belongs to one machine.
    pub fn pin(&mut self, host_id: &str) {
        self.head.host_id = Some(host_id.to_owned());
        self.changed = true;
    }

    /// Its machine is gone, and by force it no longer belongs to it: nobody can say what became of the step that was
    /// under way there.
    pub fn leave_host(&mut self, now: Timestamp) {
        self.head.host_id = None;
        self.changed = true;
        if let Some(position) = self.steps.iter().rposition(|step| step.status == StepStatus::Running) {
            self.fail_step(position, Failure::host_lost(), now);
        }
    }

    /// The store would not take what the step under way wrote, or its undo.
    pub fn refuse(&mut self, now: Timestamp) {
        let reason = Reason::new("step.not_storable", "what this step wrote could not be stored");
        if let Next::Undo(position) = self.next() {
            return self.fail_undo(position, reason, None, now);
        }
        if let Some(position) = self.steps.iter().rposition(|step| !step.status.is_over()) {
            return self.fail_step(position, Failure::new(reason), now);
        }
        if let Some(index) = self.head.cursor {
            let position = self.start_step(index, Value::Null, false, now);
            self.fail_step(position, Failure::new(reason), now);
        }
    }

    /// A step that was told to stop neither ends nor yields: whoever asks why the run hangs is told.
    pub fn blame_unyielding(&mut self, position: usize) {
        let step = self.steps[position].name.clone();
        let detail = format!("{step:?} was told to stop and does not yield; only ending its process ends it");
        self.head.error = Some(RunError { code: "task.does_not_yield".to_owned(), detail, step: Some(step) });
        self.touch(position);
    }

    /// It yielded after all.
    pub fn absolve(&mut self) {
        self.head.error = None;
        self.changed = true;
    }

    /// An attempt begins; its position in the ledger. `undoable` says whether its task has an undo.
    pub fn start_step(&mut self, index: usize, input: Value, undoable: bool, now: Timestamp) -> usize {
        let definition = &self.definition.tasks[index];
        let (name, task) = (definition.name.clone(), definition.task_name().to_owned());
        let attempt = self.steps.iter().filter(|step| step.index == index).count() as u32 + 1;
        let seq = self.steps.last().map_or(1, |step| step.seq + 1);
        let started_event = self.count_event();
        self.head.status = RunStatus::Running;
        self.head.wake_at = None;
        self.steps.push(Step {
            seq,
            index,
            name,
            task,
            attempt,
            status: StepStatus::Running,
            input: Arc::new(input),
            secrets: Vec::new(),
            output: None,
            error: None,
            started_at: now,
            finished_at: None,
            waited_until: None,
            undoable,
            undo: UndoStatus::None,
            undo_attempt: 0,
            undo_error: None,
            started_event,
            finished_event: None,
        });
        self.touch(self.steps.len() - 1);
        self.steps.len() - 1
    }

    /// The attempt was given these secrets.
    pub fn give(&mut self, position: usize, secrets: Vec<SecretVersion>) {
        self.steps[position].secrets = secrets;
    }

    /// The time that the run waited for has come.
    pub fn wake(&mut self, now: Timestamp) {
        if self.head.wake_at.take().is_some() && self.head.status != RunStatus::Undoing {
            self.head.status = RunStatus::Running;
            self.emit(EventKind::Run(RunStatus::Running), now, None, Value::Null);
        }
    }

    /// An open attempt goes on: its time has come, or its process died.
    pub fn resume_step(&mut self, position: usize) {
        if self.steps[position].status == StepStatus::Waiting {
            self.steps[position].status = StepStatus::Running;
            self.touch(position);
        }
    }

    /// The step is done; on to the next one, or the end.
    pub fn succeed_step(&mut self, position: usize, output: Value, now: Timestamp) {
        let output = Arc::new(output);
        let number = self.count_event();
        let step = &mut self.steps[position];
        step.status = StepStatus::Succeeded;
        step.output = Some(output.clone());
        step.finished_at = Some(now);
        step.finished_event = Some(number);
        let (index, name) = (step.index, step.name.clone());
        Arc::make_mut(&mut self.outputs).insert(name, output);
        self.touch(position);
        self.step_over();
        match self.definition.route(index, true) {
            Route::Step(next) => self.head.cursor = Some(next),
            Route::Succeed | Route::Fail => self.finish(RunStatus::Succeeded, now),
        }
    }

    /// The attempt failed and will be repeated at `at`.
    pub fn retry_step(&mut self, position: usize, reason: Reason, at: Timestamp, now: Timestamp) {
        let step = &mut self.steps[position];
        step.status = StepStatus::Failed;
        step.finished_at = Some(now);
        let who = Some((step.name.clone(), step.attempt));
        let data = json!({"code": reason.code, "detail": reason.detail, "next_attempt_at": at});
        step.error = Some(reason);
        self.emit(EventKind::StepRetrying, now, who, data);
        self.wait(at, now);
        self.touch(position);
    }

    /// The task asked to be run again at `until`.
    pub fn hold_step(&mut self, position: usize, until: Timestamp, now: Timestamp) {
        let step = &mut self.steps[position];
        step.status = StepStatus::Waiting;
        step.waited_until = Some(until);
        self.wait(until, now);
        self.touch(position);
    }

    /// Its flow, or the whole service, is paused before the next step.
    pub fn hold(&mut self, now: Timestamp) {
        self.head.status = RunStatus::Waiting;
        self.emit(EventKind::Run(RunStatus::Waiting), now, None, json!({"reason": "paused"}));
    }

    fn wait(&mut self, until: Timestamp, now: Timestamp) {
        self.head.status = RunStatus::Waiting;
        self.head.wake_at = Some(until);
        self.emit(EventKind::Run(RunStatus::Waiting), now, None, json!({"until": until}));
    }

    /// The step is over and did not succeed: a condition may handle it, else the run fails. `clean`: nothing was
    /// changed, no undo wanted. An unknown end is never handled by a condition.
    pub fn fail_step(&mut self, position: usize, end: Failure, now: Timestamp) {
        let Failure { reason, clean, cause, unknown } = end;
        let number = self.count_event();
        let step = &mut self.steps[position];
        step.status = if unknown { StepStatus::Unknown } else { StepStatus::Failed };
        step.error = Some(reason.clone());
        step.finished_at = Some(now);
        step.finished_event = Some(number);
        step.undoable &= !clean;
        let (index, name) = (step.index, step.name.clone());
        self.touch(position);
        self.step_over();
        if let (Route::Step(next), false) =
            (self.definition.route(index, false), unknown || cause == Cause::Cancel)
        {
            self.head.cursor = Some(next);
            return;
        }
        self.head.error = Some(RunError { code: reason.code, detail: reason.detail, step: Some(name) });
        self.turn_back(cause, now);
    }

    /// What a running task reported. Percent never goes back.
    pub fn report_progress(&mut self, position: usize, percent: u8, message: &str, at: Timestamp) {
        let step = &self.steps[position];
        let who = Some((step.name.clone(), step.attempt));
        self.emit(EventKind::Progress, at, who, json!({"percent": percent, "message": message}));
        let inside = u32::from(percent);
        self.raise_percent(inside);
    }

    /// Lines a running task wrote.
    /// As events of some 32 KiB: a watcher is sent whole events, and holds at least one.
    pub fn report_output(&mut self, position: usize, lines: &[String], at: Timestamp) {
        let step = &self.steps[position];
        let who = (step.name.clone(), step.attempt);
        let (mut begin, mut bytes) = (0, 0);
        for (index, line) in lines.iter().enumerate() {
            if bytes > 0 && bytes + line.len() > EVENT_BYTES {
                self.emit(EventKind::Output, at, Some(who.clone()), json!({"lines": lines[begin..index]}));
                (begin, bytes) = (index, 0);
            }
            bytes += line.len();
        }
        self.emit(EventKind::Output, at, Some(who), json!({"lines": lines[begin..]}));
    }

    fn step_over(&mut self) {
        self.head.takeovers = 0;
        self.head.wake_at = None;
        self.raise_percent(0);
    }

    /// Steps done of those that may still come, each by its weight, the one under way by its own percent of that. 100
    /// is kept for the end.
    fn raise_percent(&mut self, inside: u32) {
        let (done, total) = self.weights();
        let current = self.head.cursor.map_or(0, |cursor| self.definition.tasks[cursor].weight());
        let percent = ((done * 100 + inside * current) / total).min(99) as u8;
        self.head.percent = self.head.percent.max(percent);
    }

    pub(super) fn finish(&mut self, status: RunStatus, now: Timestamp) {
        self.head.status = status;
        self.head.cursor = None;
        self.head.wake_at = None;
        self.head.finished_at = Some(now);
        if status == RunStatus::Succeeded {
            self.head.percent = 100;
        }
        self.count_event();
    }
}
