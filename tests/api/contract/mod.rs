//! What every adapter of a port keeps: one suite a port, run over memory and over PostgreSQL.

mod cache;
mod datasets;
mod flow_store;
mod grade_evidence;
mod identities;
mod lab_sessions;
mod lab_times;
mod logins;
mod machine_ledger;
mod objects;
mod queue;
mod revocations;
mod rooms;
mod schedules;
mod session_list;
mod session_time;
mod sign_ins;
mod state_copies;
mod step_checks;
mod timelines;
mod users;

use std::collections::BTreeMap;
use std::path::PathBuf;

use flow_domain::labs::{Difficulty, Grading, Lab, LabLimits};
use flow_domain::users::{Account, Role, User, Users};
use flow_domain::{Error, UserId};
use flow_manager::driven::postgres::PgUsers;

use crate::harness::TestDb;

/// A learner with an account, named by nothing but an id.
pub fn learner() -> Account {
    let user = User { id: UserId::new(), email: None, username: None, name: None, role: Role::Learner };
    Account::new(user)
}

/// A learner whom the database knows.
pub async fn stored_learner(db: &TestDb) -> UserId {
    let account = learner();
    assert!(PgUsers::new(db.pool.clone()).add(&account).await.unwrap());
    account.user.id
}

pub fn lab(name: &str) -> Lab {
    Lab {
        name: name.into(),
        title: name.into(),
        summary: String::new(),
        minutes: 5,
        dir: PathBuf::new(),
        version: "version-1".into(),
        difficulty: Difficulty::Beginner,
        allow: vec![Role::Learner],
        tutorial: String::new(),
        checks: Default::default(),
        answers: vec![],
        limits: LabLimits::default(),
        grading: Grading::default(),
        variables: BTreeMap::new(),
        secrets: Default::default(),
        machines: 0,
        outputs: None,
    }
}

/// The stable code of a refusal.
pub fn code<T: std::fmt::Debug>(answer: Result<T, Error>) -> &'static str {
    answer.unwrap_err().code
}
