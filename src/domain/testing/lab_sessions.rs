//! Lab sessions and their grades. It knows no accounts: any user may open a session.

use std::collections::BTreeSet;
use std::sync::Mutex;

use crate::labs::{
    BestScore, ELSEWHERE, Grade, Lab, LabSessions, Listed, Session, SessionFilter, SessionStatus, SessionTime,
};
use crate::{Error, Result, RunId, SessionId, UserId, clock};
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::flow_store::effect;
use super::held;

#[derive(Default)]
struct Kept {
    sessions: Vec<Session>,
    grades: Vec<Grade>,
    /// Which ends were told of.
    warned: BTreeSet<(SessionId, Timestamp)>,
}

/// Its learner may work, and its time is not over.
fn is_open(session: &Session) -> bool {
    let open = matches!(session.status, SessionStatus::Ready | SessionStatus::Grading);
    open && session.time.ending.is_none()
}

#[derive(Default)]
pub struct MemoryLabSessions {
    kept: Mutex<Kept>,
}

impl Kept {
    fn live(&self, user: UserId, lab: &str) -> Option<Session> {
        let live =
            |session: &&Session| session.user == user && session.lab == lab && session.ended_at.is_none();
        self.sessions.iter().find(live).cloned()
    }

    fn session(&mut self, id: SessionId) -> Result<&mut Session> {
        let found = self.sessions.iter_mut().find(|session| session.id == id);
        found.ok_or_else(|| Error::not_found("session.unknown", "There is no such session."))
    }
}

impl MemoryLabSessions {
    /// How many sessions are of this status.
    pub fn count(&self, status: SessionStatus) -> usize {
        held(&self.kept).sessions.iter().filter(|session| session.status == status).count()
    }

    /// Attempts of all sessions.
    pub fn grade_count(&self) -> usize {
        held(&self.kept).grades.len()
    }
}

#[async_trait]
impl LabSessions for MemoryLabSessions {
    async fn open(&self, user: UserId, lab: &Lab) -> Result<Session> {
        effect().await;
        let mut kept = held(&self.kept);
        if let Some(session) = kept.live(user, &lab.name) {
            return Ok(session);
        }
        let elsewhere = |session: &Session| session.user == user && session.ended_at.is_none();
        if lab.limits.one_at_a_time && kept.sessions.iter().any(elsewhere) {
            return Err(Error::conflict("session.elsewhere", ELSEWHERE));
        }
        let session = Session {
            id: SessionId::new(),
            user,
            lab: lab.name.clone(),
            lab_version: lab.version.clone(),
            status: SessionStatus::Launching,
            run: None,
            outputs: json!({}),
            shown: lab.outputs.clone(),
            created_at: clock::now(),
            ended_at: None,
            time: SessionTime::of(&lab.limits),
        };
        kept.sessions.push(session.clone());
        Ok(session)
    }

    async fn live(&self, user: UserId, lab: &str) -> Result<Option<Session>> {
        Ok(held(&self.kept).live(user, lab))
    }

    async fn members(&self, lab: &str, users: &[UserId]) -> Result<Vec<UserId>> {
        let kept = held(&self.kept);
        Ok(users.iter().copied().filter(|user| kept.live(*user, lab).is_some()).collect())
    }

    async fn live_of(&self, user: UserId) -> Result<Vec<Session>> {
        let kept = held(&self.kept);
        let live = kept.sessions.iter().filter(|it| it.user == user && it.ended_at.is_none());
        Ok(live.cloned().collect())
    }

    async fn session(&self, id: SessionId) -> Result<Option<Session>> {
        Ok(held(&self.kept).sessions.iter().find(|session| session.id == id).cloned())
    }

    async fn find(&self, filter: &SessionFilter) -> Result<Vec<Listed>> {
        let kept = held(&self.kept);
        let fits = |it: &&Session| {
            filter.id.is_none_or(|id| it.id == id)
                && filter.lab.as_ref().is_none_or(|lab| it.lab == *lab)
                && filter.user.is_none_or(|user| it.user == user)
                && filter.status.is_none_or(|status| it.status == status)
                && filter.before.is_none_or(|before| it.id < before)
        };
        let mut found: Vec<Session> = kept.sessions.iter().filter(fits).cloned().collect();
        found.sort_by_key(|session| std::cmp::Reverse(session.id));
        found.truncate(filter.limit);
        Ok(found.into_iter().map(|session| Listed { session, learner: None }).collect())
    }

    async fn bests(&self, user: UserId) -> Result<Vec<BestScore>> {
        let kept = held(&self.kept);
        let mut bests: Vec<BestScore> = Vec::new();
        for session in kept.sessions.iter().filter(|session| session.user == user) {
            let grades = kept.grades.iter().filter(|grade| grade.session == session.id);
            for (attempt, grade) in (1..).zip(grades).filter(|(_, grade)| grade.max > 0.0) {
                let (lab, session) = (session.lab.clone(), session.id);
                let one = BestScore { lab, session, attempt, score: grade.score, max: grade.max };
                match bests.iter_mut().find(|best| best.lab == one.lab) {
                    Some(best) if one.score / one.max > best.score / best.max => *best = one,
                    Some(_) => {}
                    None => bests.push(one),
                }
            }
        }
        Ok(bests)
    }

    async fn set_run(&self, id: SessionId, before: Option<RunId>, run: RunId) -> Result<RunId> {
        effect().await;
        let mut kept = held(&self.kept);
        let session = kept.session(id)?;
        if session.run == before {
            session.run = Some(run);
        }
        Ok(session.run.unwrap_or(run))
    }

    async fn add_run(&self, id: SessionId, _run: RunId) -> Result<()> {
        held(&self.kept).session(id).map(drop)
    }

    async fn touch(&self, id: SessionId) -> Result<()> {
        let mut kept = held(&self.kept);
        let session = kept.session(id)?;
        if is_open(session) && session.time.ready_at.is_some() {
            session.time.seen_at = Some(clock::now());
        }
        Ok(())
    }

    async fn extend(&self, id: SessionId) -> Result<Session> {
        let mut kept = held(&self.kept);
        let session = kept.session(id)?;
        let refused = |code, public: &str| Err(Error::conflict(code, public));
        if session.time.ending.is_some() {
            return refused("session.ending", "This session's time is over; it is being taken down.");
        }
        if session.time.extensions_left == 0 {
            return refused("session.no_extension", "This session cannot be extended any more.");
        }
        if !matches!(session.status, SessionStatus::Ready | SessionStatus::Grading) {
            return refused("session.not_ready", "Only a session that is ready has a time.");
        }
        session.time.total_s += session.time.extend_s;
        session.time.extensions_left -= 1;
        session.time.seen_at = Some(clock::now());
        Ok(session.clone())
    }

    async fn warnings(&self) -> Result<Vec<Session>> {
        let mut kept = held(&self.kept);
        let Kept { sessions, warned, .. } = &mut *kept;
        let now = clock::now();
        let due = sessions.iter().filter(|session| {
            let Some((at, _)) = session.time.end().filter(|_| is_open(session)) else { return false };
            let from = at - SignedDuration::from_secs(session.time.warn_s);
            from <= now && now < at && warned.insert((session.id, at))
        });
        Ok(due.cloned().collect())
    }

    async fn run_out(&self) -> Result<Vec<Session>> {
        let mut kept = held(&self.kept);
        let now = clock::now();
        let mut out = Vec::new();
        for session in kept.sessions.iter_mut().filter(|session| is_open(session)) {
            if let Some((_, ending)) = session.time.end().filter(|(at, _)| *at <= now) {
                session.time.ending = Some(ending);
                out.push(session.clone());
            }
        }
        Ok(out)
    }

    async fn set_status(&self, id: SessionId, status: SessionStatus, outputs: Option<Value>) -> Result<()> {
        effect().await;
        let mut kept = held(&self.kept);
        let session = kept.session(id)?;
        if session.ended_at.is_some() {
            if session.status == status {
                return Ok(());
            }
            let sentence = format!("This session is over: it is {}.", session.status.as_str());
            return Err(Error::conflict("session.ended", sentence));
        }
        if status == SessionStatus::Ready && session.time.ready_at.is_none() {
            session.time.ready_at = Some(clock::now());
            session.time.seen_at = session.time.ready_at;
        }
        session.status = status;
        session.outputs = outputs.unwrap_or_else(|| session.outputs.take());
        session.ended_at = status.is_final().then(clock::now);
        Ok(())
    }

    async fn add_grade(&self, grade: &Grade) -> Result<u32> {
        effect().await;
        let mut kept = held(&self.kept);
        kept.session(grade.session)?;
        if !(grade.score >= 0.0 && grade.score <= grade.max && grade.max < f64::INFINITY) {
            return Err(Error::conflict("grade.score_invalid", "A score lies between 0 and its maximum."));
        }
        let attempts = || kept.grades.iter().filter(|earlier| earlier.session == grade.session);
        let index = match attempts().position(|earlier| earlier.run == grade.run) {
            Some(index) => index,
            None => {
                let index = attempts().count();
                kept.grades.push(grade.clone());
                index
            }
        };
        u32::try_from(index + 1).map_err(Error::internal)
    }

    async fn grades(&self, session: SessionId) -> Result<Vec<Grade>> {
        let kept = held(&self.kept);
        Ok(kept.grades.iter().filter(|grade| grade.session == session).cloned().collect())
    }
}
