//! What a learner has of each lab, and which sessions there are.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use super::service::unknown;
use super::{Lab, Labs, Session, SessionStatus};
use crate::users::{Caller, Role};
use crate::{Result, SessionId, UserId};

/// A lab as one caller has it.
pub struct LabCard {
    pub lab: Arc<Lab>,
    pub session: Option<Session>,
    pub best: Option<BestScore>,
}

/// The best attempt of all of a user's sessions of one lab: the one with the largest share of its maximum; of equal
/// ones the first. Attempts out of nothing are none.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct BestScore {
    #[serde(skip)]
    pub lab: String,
    pub session: SessionId,
    /// From 1, in its session.
    pub attempt: u32,
    pub score: f64,
    pub max: f64,
}

/// Which sessions; what is none leaves it open.
#[derive(Clone, Debug, Default)]
pub struct SessionFilter {
    pub id: Option<SessionId>,
    pub lab: Option<String>,
    pub user: Option<UserId>,
    pub status: Option<SessionStatus>,
    /// Older ones than this.
    pub before: Option<SessionId>,
    pub limit: usize,
}

/// A session, and what its learner is called: their name, username or e-mail address, whichever there is first.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    pub session: Session,
    pub learner: Option<String>,
}

impl Labs {
    /// The labs that this caller may use, each with their live session and their best score.
    pub async fn cards(&self, caller: &Caller) -> Result<Vec<LabCard>> {
        let mut live = Vec::new();
        for session in self.sessions.live_of(caller.id).await? {
            live.push(self.settled(session).await?);
        }
        let bests = self.sessions.bests(caller.id).await?;
        let card = |lab: Arc<Lab>| {
            let open = |session: &&Session| session.lab == lab.name && session.ended_at.is_none();
            let best = bests.iter().find(|best| best.lab == lab.name);
            LabCard { session: live.iter().find(open).cloned(), best: best.cloned(), lab }
        };
        let labs = self.catalogue.labs().into_iter().filter(|lab| lab.allows(caller.role));
        Ok(labs.map(card).collect())
    }

    /// One lab that this caller may use, likewise.
    pub async fn card(&self, caller: &Caller, name: &str) -> Result<LabCard> {
        let lab = self.lab(caller, name)?;
        let session = self.current(caller, name).await?;
        let best = self.sessions.bests(caller.id).await?.into_iter().find(|best| best.lab == name);
        Ok(LabCard { lab, session, best })
    }

    /// Sessions, the newest first: for operators everybody's, for learners their own. One that its run had left behind
    /// is told as it is now, which may be another status than the one asked for.
    pub async fn sessions(&self, caller: &Caller, mut filter: SessionFilter) -> Result<Vec<Listed>> {
        if caller.role < Role::Operator {
            // Others' sessions are as good as none.
            if filter.user.is_some_and(|wanted| wanted != caller.id) {
                return Ok(Vec::new());
            }
            filter.user = Some(caller.id);
        }
        let mut found = self.sessions.find(&filter).await?;
        for listed in &mut found {
            listed.session = self.settled(listed.session.clone()).await?;
        }
        Ok(found)
    }

    /// A session that this caller may see, with its learner's name.
    pub async fn listed(&self, caller: &Caller, id: SessionId) -> Result<Listed> {
        let filter = SessionFilter { id: Some(id), limit: 1, ..SessionFilter::default() };
        let found = self.sessions.find(&filter).await?.pop().filter(|it| caller.sees(it.session.user));
        let Listed { session, learner } = found.ok_or_else(unknown)?;
        Ok(Listed { session: self.settled(session).await?, learner })
    }
}
