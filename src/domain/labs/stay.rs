//! While a session is open: its tutorial, its time, its timeline.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::tutorial::Tutorial;
use super::{Ending, Entry, Lab, Labs, Moved, Session, SessionStatus, StepState};
use crate::flows::Started;
use crate::flows::store::Idempotency;
use crate::users::{Caller, Role};
use crate::{Error, Result, SessionId};

const CHECK: &str = "lab-check";

impl Labs {
    /// The steps of a session's tutorial that were looked at.
    pub async fn steps(&self, session: &Session) -> Result<Vec<StepState>> {
        self.step_checks.of_session(session.id).await
    }

    /// Looks whether a step of the tutorial is done. One without a check is done when its learner says so.
    pub async fn check_step(
        &self,
        caller: &Caller,
        id: SessionId,
        step: &str,
        answers: Option<Value>,
        idempotency: Option<Idempotency>,
    ) -> Result<Started> {
        let session = self.own(caller, id).await?;
        if !matches!(session.status, SessionStatus::Ready | SessionStatus::Grading) {
            let public = format!("Your session is {}.", session.status.as_str());
            return Err(Error::conflict("session.not_ready", public));
        }
        let lab = self.lab_of(&session)?;
        let steps = Tutorial::read(&lab.tutorial).steps();
        let number = step.parse::<usize>().ok().filter(|number| number.to_string() == step);
        let Some(number) = number.filter(|number| (1..=steps).contains(number)) else {
            return Err(Error::not_found("step.unknown", format!("The tutorial has {steps} steps.")));
        };
        let mut input = json!({"lab": session.lab, "session": session.id, "step": number});
        if let Some(answers) = answers {
            input["answers"] = answers;
        }
        self.about(caller, &session, CHECK, input, idempotency).await
    }

    /// The owner uses a session: the idle clock starts anew. Others who look at it do not.
    pub async fn touch(&self, caller: &Caller, session: &Session) -> Result<()> {
        match session.user == caller.id && session.ended_at.is_none() {
            true => self.sessions.touch(session.id).await,
            false => Ok(()),
        }
    }

    /// The same by the name of the lab or the id of the session: what a room's name holds.
    pub async fn touch_by_name(&self, caller: &Caller, lab: &str) -> Result<()> {
        match self.current(caller, lab).await? {
            Some(session) => self.touch(caller, &session).await,
            None => Ok(()),
        }
    }

    pub async fn touch_by_id(&self, caller: &Caller, id: SessionId) -> Result<()> {
        match self.sessions.session(id).await? {
            Some(session) => self.touch(caller, &session).await,
            None => Ok(()),
        }
    }

    /// More time for a session of the caller's.
    pub async fn extend(&self, caller: &Caller, id: SessionId) -> Result<Session> {
        let session = self.own(caller, id).await?;
        let extended = self.sessions.extend(session.id).await?;
        let told = json!({"by_s": extended.time.extend_s, "extensions_left": extended.time.extensions_left,
            "expires_at": extended.time.end().map(|(at, _)| at)});
        self.timelines.store().note(session.id, "session.extended", None, told).await?;
        Ok(extended)
    }

    /// What happened in a session after this entry, and whether nothing more will.
    pub async fn timeline(
        &self,
        id: SessionId,
        after: i64,
        limit: usize,
        at_most: Duration,
    ) -> Result<(Vec<Entry>, bool)> {
        self.timelines.entries(id, after, limit, at_most).await
    }

    /// Warns of sessions that end soon, and has those taken down whose time is over. Any number of processes may:
    /// each end is warned of once, and however often a session is asked to be taken down, one run does it.
    pub async fn keep_time(&self) -> Result<()> {
        for session in self.sessions.warnings().await? {
            let Some((at, ending)) = session.time.end() else { continue };
            let told = json!({"expires_at": at, "because": ending, "warn_s": session.time.warn_s,
                "extensions_left": session.time.extensions_left});
            self.timelines.store().note(session.id, "session.warning", None, told).await?;
        }
        for session in self.sessions.run_out().await? {
            let ending = session.time.ending.unwrap_or(Ending::Total);
            log::info!("session={} is taken down: {}", session.id, ending.because());
            let owner = Caller { id: session.user, role: Role::Learner };
            let started = self.move_on(&owner, session.clone(), Moved::Expire).await;
            if let Err(error) = started {
                log::warn!("session={} is not taken down yet: {error}", session.id);
            }
        }
        Ok(())
    }

    /// A session of the caller's own; an operator's look at another's is not enough.
    async fn own(&self, caller: &Caller, id: SessionId) -> Result<Session> {
        let session = self.session(caller, id).await?;
        match session.user == caller.id {
            true => Ok(session),
            false => Err(Error::forbidden("session.not_yours", "Only its owner does this.")),
        }
    }

    fn lab_of(&self, session: &Session) -> Result<Arc<Lab>> {
        let gone = || Error::not_found("lab.unknown", "The lab of this session is no longer there.");
        self.catalogue.lab(&session.lab).ok_or_else(gone)
    }
}
