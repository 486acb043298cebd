//! Pauses: no new step starts, running ones end, what is being taken back is taken back.
//!
//! Pauses are in the store; each process keeps what it last heard of them. A run that comes to a paused step is let go
//! and costs nothing until its pause ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

use super::lease::RENEW_EVERY;
use super::{Engine, Halt};
use crate::clock;
use crate::flows::gate::Pause;
use crate::flows::run::{Next, Run, RunStatus};
use crate::flows::step::StepStatus;
use crate::flows::store::Release;

#[derive(Default)]
pub(super) struct Pauses {
    /// Asked before every step, and nearly always false.
    any: AtomicBool,
    known: RwLock<Vec<Pause>>,
}

impl Pauses {
    /// Whether a pause stops this run.
    pub(super) fn stop(&self, run: &Run) -> bool {
        self.any.load(Ordering::Acquire)
            && self.all().iter().any(|pause| pause.gate.is_before(&run.definition.name))
    }

    pub(super) fn all(&self) -> Vec<Pause> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn replace(&self, pauses: Vec<Pause>) {
        let any = !pauses.is_empty();
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = pauses;
        self.any.store(any, Ordering::Release);
    }
}

impl Engine {
    /// The pauses, as this process last heard of them.
    pub fn pauses(&self) -> Vec<Pause> {
        self.pauses.all()
    }

    /// Reads the pauses anew, however long it takes, and lets those go on whose pause has ended.
    pub async fn learn_pauses(&self) {
        let mut told = false;
        loop {
            match self.store.pauses().await {
                Ok(pauses) => {
                    self.pauses.replace(pauses);
                    return self.wake_paused().await;
                }
                Err(error) if !told => {
                    told = true;
                    log::warn!("what is paused could not be read: {error}");
                }
                Err(_) => {}
            }
            tokio::select! {
                () = tokio::time::sleep(RENEW_EVERY) => {}
                () = self.stopping.cancelled() => return,
            }
        }
    }

    pub(super) async fn wake_paused(&self) {
        if let Err(error) = self.store.wake_paused().await {
            log::warn!("runs whose pause has ended could not be looked for: {error}");
        }
    }

    /// Whether the next thing to do is the start of something, and a pause forbids it. A step whose process died is
    /// under way and goes on; an undo is no new step.
    pub(super) fn is_held_up(&self, run: &Run) -> bool {
        let starts = match run.next() {
            Next::Start(_) => true,
            Next::Resume(position) => run.steps[position].status == StepStatus::Waiting,
            Next::Undo(_) | Next::Nothing => false,
        };
        starts && self.pauses.stop(run)
    }

    /// Lets a paused run go.
    pub(super) async fn hold(&self, run: &mut Run) -> Halt {
        if run.head.status != RunStatus::Waiting || run.head.wake_at.is_some() {
            run.head.wake_at = None;
            run.hold(clock::now());
        }
        if let Err(halt) = self.save(run, Some(Release::Paused)).await {
            return halt;
        }
        log::info!("run={} flow={} waits: paused", run.id, run.definition.name);
        // The pause may have ended while the run was let go, and nobody brought it forward.
        if !self.pauses.stop(run) {
            self.wake_paused().await;
        }
        Halt::Released
    }
}
