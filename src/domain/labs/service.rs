//! What learners may do with labs: each is a flow, and a session ties those of one learner and lab together.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    Evidence, Grade, GradeEvidence, Lab, LabCatalogue, LabSessions, Session, SessionStatus, StepChecks,
    TimelineStore, Timelines, check_answers, is_lab_name,
};
use crate::flows::run::{Run, RunStatus};
use crate::flows::store::Idempotency;
use crate::flows::{Flows, Started};
use crate::users::{Caller, Role};
use crate::{Cancel, Error, Result, RunId, SessionId};

const LAUNCH: &str = "lab-launch";
const SUBMIT: &str = "lab-submit";
const FINISH: &str = "lab-finish";
const RESET: &str = "lab-reset";
const EXPIRE: &str = "lab-expire";

/// Labs, over flows.
pub struct Labs {
    pub(super) flows: Arc<Flows>,
    pub(super) catalogue: Arc<dyn LabCatalogue>,
    pub(super) sessions: Arc<dyn LabSessions>,
    evidence: Arc<dyn GradeEvidence>,
    pub(super) step_checks: Arc<dyn StepChecks>,
    pub(super) timelines: Timelines,
}

/// What ends a session, or begins it anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    Finish,
    Reset,
    /// Its time is over: nobody asked.
    Expire,
}

impl Moved {
    fn flow(self) -> &'static str {
        match self {
            Self::Finish => FINISH,
            Self::Reset => RESET,
            Self::Expire => EXPIRE,
        }
    }
}

impl Labs {
    pub fn new(
        flows: Arc<Flows>,
        catalogue: Arc<dyn LabCatalogue>,
        sessions: Arc<dyn LabSessions>,
        evidence: Arc<dyn GradeEvidence>,
        step_checks: Arc<dyn StepChecks>,
        timeline: Arc<dyn TimelineStore>,
    ) -> Self {
        let timelines = Timelines::new(timeline, sessions.clone(), flows.clone());
        Self { flows, catalogue, sessions, evidence, step_checks, timelines }
    }

    /// A lab that this caller may use.
    pub fn lab(&self, caller: &Caller, name: &str) -> Result<Arc<Lab>> {
        match self.catalogue.lab(name) {
            Some(lab) if lab.allows(caller.role) => Ok(lab),
            Some(_) => Err(Error::forbidden("lab.forbidden", "This lab is not for your role.")),
            None => Err(Error::not_found("lab.unknown", "There is no lab of this name.")),
        }
    }

    /// Launches a lab. While a session of it is live, the run that launched that one is returned.
    ///
    /// The session is opened first and its id is the launch's idempotency key, so that of any number of launches at
    /// once, on whatever process, one is stored, and a launch whose process died in between is taken up by the next.
    pub async fn launch(&self, caller: &Caller, name: &str) -> Result<Started> {
        let lab = self.lab(caller, name)?;
        if let Some(session) = self.current(caller, name).await? {
            return self.launched(caller, session).await;
        }
        self.catalogue.launchable(&lab)?;
        let session = self.sessions.open(caller.id, &lab).await?;
        self.launched(caller, session).await
    }

    async fn launched(&self, caller: &Caller, session: Session) -> Result<Started> {
        match session.status {
            SessionStatus::Finishing => {
                let public = "Your last session of this lab is being taken down; launch it again after that.";
                return Err(Error::conflict("session.finishing", public));
            }
            SessionStatus::Dirty => {
                let public = "Something of your last session of this lab is left; finish or reset it first.";
                return Err(Error::conflict("session.dirty", public));
            }
            _ => {}
        }
        if let Some(id) = session.run
            && let Some(started) = self.flows.started_before(id).await?
        {
            return Ok(started);
        }
        let started = self.start(caller, LAUNCH, &session).await?;
        let run = self.sessions.set_run(session.id, session.run, started.run.id).await?;
        if run == started.run.id {
            return Ok(started);
        }
        Ok(self.flows.started_before(run).await?.unwrap_or(started))
    }

    /// Grades what the caller has done so far.
    pub async fn submit(
        &self,
        caller: &Caller,
        name: &str,
        answers: Option<Value>,
        idempotency: Option<Idempotency>,
    ) -> Result<Started> {
        let session = self.open(caller, name).await?;
        if !matches!(session.status, SessionStatus::Ready | SessionStatus::Grading) {
            let public = format!("Your session of this lab is {}.", session.status.as_str());
            return Err(Error::conflict("session.not_ready", public));
        }
        if let Some(lab) = self.catalogue.lab(name) {
            check_answers(&lab.answers, answers.as_ref())?;
        }
        let mut input = json!({"lab": session.lab, "session": session.id});
        if let Some(answers) = answers {
            input["answers"] = answers;
        }
        self.about(caller, &session, SUBMIT, input, idempotency).await
    }

    /// Starts a flow that is about a session and does not move it.
    pub(super) async fn about(
        &self,
        caller: &Caller,
        session: &Session,
        flow: &str,
        input: Value,
        idempotency: Option<Idempotency>,
    ) -> Result<Started> {
        let flow = Value::String(flow.to_owned());
        let home = self.home(session).await?;
        let started = self.flows.start_at(home, caller, flow, input, idempotency).await?;
        self.sessions.add_run(session.id, started.run.id).await?;
        Ok(started)
    }

    /// Takes a session down, or takes it down and launches the lab anew. A launch or a reset under way is cancelled
    /// first; the same asked for twice is the same run.
    pub async fn end(&self, caller: &Caller, name: &str, how: Moved) -> Result<Started> {
        if how == Moved::Reset {
            self.catalogue.launchable(&*self.lab(caller, name)?)?;
        }
        let session = self.open(caller, name).await?;
        self.move_on(caller, session, how).await
    }

    pub(super) async fn move_on(&self, caller: &Caller, session: Session, how: Moved) -> Result<Started> {
        if let Some(id) = session.run
            && let Some(moving) = self.flows.started_before(id).await?
            && !moving.run.head.status.is_final()
        {
            let flow = moving.run.definition.name.as_str();
            match (flow, how) {
                (flow, how) if flow == how.flow() => return Ok(moving),
                (FINISH | EXPIRE, Moved::Finish | Moved::Expire) => return Ok(moving),
                (FINISH | EXPIRE, Moved::Reset) => {
                    let public = "Your session of this lab is being taken down; launch it again after that.";
                    return Err(Error::conflict("session.finishing", public));
                }
                // It may be over by now, which is as good.
                _ => drop(self.flows.cancel(caller, id, Cancel::Orderly).await),
            }
        }
        let started = self.start(caller, how.flow(), &session).await?;
        self.sessions.set_run(session.id, session.run, started.run.id).await?;
        Ok(started)
    }

    /// Starts a flow once for this session and whatever moved it before.
    async fn start(&self, caller: &Caller, flow: &str, session: &Session) -> Result<Started> {
        let after = session.run.map(|run| run.to_string()).unwrap_or_default();
        let input = json!({"lab": session.lab, "session": session.id});
        // No request's scope looks like this one: theirs begin with a method.
        let once = Idempotency {
            caller: caller.id,
            scope: format!("session {} {flow}", session.id),
            key: format!("after {after}"),
            body_sha256: String::new(),
        };
        let flow = Value::String(flow.to_owned());
        self.flows.start_at(self.home(session).await?, caller, flow, input, Some(once)).await
    }

    /// The machine with the session's directory: of the run that made it. While nobody works there, any other does what
    /// can be done without, with the copy of the state.
    async fn home(&self, session: &Session) -> Result<Option<String>> {
        match session.run {
            Some(run) => self.flows.home_of(run).await,
            None => Ok(None),
        }
    }

    /// The caller's live session of this lab.
    pub async fn open(&self, caller: &Caller, name: &str) -> Result<Session> {
        let current = self.current(caller, name).await?;
        if current.is_none() && self.catalogue.lab(name).is_none() {
            return Err(Error::not_found("lab.unknown", "There is no lab of this name."));
        }
        current.ok_or_else(|| Error::not_found("session.none", "You have no open session of this lab."))
    }

    /// A session that this caller may see.
    pub async fn session(&self, caller: &Caller, id: SessionId) -> Result<Session> {
        let session = self.sessions.session(id).await?.filter(|session| caller.sees(session.user));
        let session = session.ok_or_else(unknown)?;
        self.settled(session).await
    }

    /// Its graded attempts, in order, and which of them counts by the lab's policy as it is now.
    pub async fn attempts(&self, caller: &Caller, id: SessionId) -> Result<(Vec<Grade>, Option<usize>)> {
        let session = self.session(caller, id).await?;
        let grades = self.sessions.grades(id).await?;
        let policy = self.catalogue.lab(&session.lab).map(|lab| lab.grading).unwrap_or_default().policy;
        let counting = policy.counts(&grades);
        Ok((grades, counting))
    }

    /// What its graders left, in order, each with the number of the attempt that came of it: not for learners, since
    /// hidden tests are in it.
    pub async fn evidence(
        &self,
        caller: &Caller,
        id: SessionId,
        run: Option<RunId>,
    ) -> Result<Vec<(Evidence, Option<u32>)>> {
        if caller.role < Role::Operator {
            return Err(Error::forbidden("auth.role_too_low", "What a grader left is for operators."));
        }
        let session = self.session(caller, id).await?;
        let grades = self.sessions.grades(session.id).await?;
        let attempt = |evidence: &Evidence| {
            let at = grades.iter().position(|grade| grade.run == evidence.run)?;
            let graded = ["graded", "not_gradable"].contains(&evidence.outcome.as_str());
            graded.then(|| u32::try_from(at + 1).ok()).flatten()
        };
        let kept = self.evidence.of_session(session.id).await?.into_iter();
        let wanted = kept.filter(|evidence| run.is_none_or(|run| evidence.run == run));
        Ok(wanted
            .map(|evidence| (attempt(&evidence), evidence))
            .map(|(at, evidence)| (evidence, at))
            .collect())
    }

    /// The caller's live session of this lab, if there is one.
    pub async fn current(&self, caller: &Caller, name: &str) -> Result<Option<Session>> {
        // No session is of a lab that cannot be, and a store need not be asked for what it may not even hold.
        if !is_lab_name(name) {
            return Ok(None);
        }
        let Some(session) = self.sessions.live(caller.id, name).await? else { return Ok(None) };
        Ok(Some(self.settled(session).await?).filter(|session| session.ended_at.is_none()))
    }

    /// A session that its run left behind on the way, because it was cancelled before its first step or because its
    /// undo gave up, is told from one that is still being moved.
    pub(super) async fn settled(&self, session: Session) -> Result<Session> {
        let moving = matches!(session.status, SessionStatus::Launching | SessionStatus::Finishing);
        let (true, Some(id)) = (moving, session.run) else { return Ok(session) };
        let Some(run) = self.flows.known_run(id).await?.filter(|run| run.head.status.is_final()) else {
            return Ok(session);
        };
        // The run may have moved it between the two looks; it does so no more.
        let Some(now) = self.sessions.session(session.id).await? else { return Ok(session) };
        if now != session {
            return Ok(now);
        }
        let status = left_as(&run, now.status);
        log::warn!("session={} left {} by its run, now {}", now.id, now.status.as_str(), status.as_str());
        self.sessions.set_status(now.id, status, None).await?;
        self.sessions.session(now.id).await?.ok_or_else(unknown)
    }
}

/// A launch that was taken back left nothing; after any other end somebody must finish what is left.
fn left_as(run: &Run, was: SessionStatus) -> SessionStatus {
    let taken_back = matches!(run.head.status, RunStatus::Undone | RunStatus::Cancelled);
    match taken_back && was == SessionStatus::Launching {
        true => SessionStatus::Failed,
        false => SessionStatus::Dirty,
    }
}

pub(super) fn unknown() -> Error {
    Error::not_found("session.unknown", "There is no such session.")
}
