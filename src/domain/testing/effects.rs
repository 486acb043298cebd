//! What a test's world has of everything that a task can leave in it.

use std::collections::BTreeMap;

use super::{Effects, TestContext};
use crate::labs::SessionStatus;

impl TestContext {
    /// Counts what is there, by what it is.
    pub fn effects(&self) -> Effects {
        let sent =
            |method: &str| self.http.requests().iter().filter(|request| request.method == method).count();
        let (ingest, sessions) = (&self.ingest, &self.sessions);
        Effects(BTreeMap::from([
            ("rows", self.datasets.count()),
            ("events", self.outbox.events().len()),
            ("directories", self.workspaces.count()),
            ("POST", sent("POST")),
            ("PATCH", sent("PATCH")),
            ("programs", self.machine.programs()),
            ("built by Terraform", self.machine.built()),
            ("sessions launching", sessions.count(SessionStatus::Launching)),
            ("sessions ready", sessions.count(SessionStatus::Ready)),
            ("sessions finished", sessions.count(SessionStatus::Finished)),
            ("sessions failed", sessions.count(SessionStatus::Failed)),
            ("sessions between", between(sessions)),
            ("grades", sessions.grade_count()),
            ("files registered", ingest.files()),
            ("chunks loaded", ingest.chunks_loaded()),
        ]))
    }
}

fn between(sessions: &super::MemoryLabSessions) -> usize {
    let all =
        [SessionStatus::Grading, SessionStatus::Finishing, SessionStatus::Dirty, SessionStatus::Expired];
    all.into_iter().map(|status| sessions.count(status)).sum()
}
