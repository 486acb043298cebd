//! Labs: folders with Terraform, a grader and words; sessions: one learner in one of them.

mod answers;
mod grading;
mod lab;
pub mod machines;
mod overview;
mod pace;
mod service;
mod stay;
mod steps;
mod time;
mod timeline;
pub mod tutorial;

use async_trait::async_trait;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Result, RunId, SessionId, UserId};
pub use answers::{AskedAnswer, check_answers, faults_of_list};
pub use grading::{Evidence, GradeEvidence, GradeJob, Graded, Graders, Grading, GradingPolicy};

pub use lab::{Difficulty, Lab, LabCatalogue, LabLimits, is_lab_name};
pub use overview::{BestScore, LabCard, Listed, SessionFilter};
pub use pace::{LabTimes, LabVersion, ObjectTime, Pace, RUNS_TO_TELL, Work};
pub use service::{Labs, Moved};
pub use steps::{Look, StepChecks, StepState};
pub use time::{Ending, SessionTime};
pub use timeline::{Entry, Fresh, Note, Taken, TimelineStore, Timelines};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SessionStatus {
    /// The launch runs.
    Launching,
    /// The learner may work.
    Ready,
    /// A grader runs.
    Grading,
    /// The destroy runs.
    Finishing,
    /// Over; nothing is left.
    Finished,
    /// The launch failed; nothing is left.
    Failed,
    /// Something may be left that an operator must look at.
    Dirty,
    /// Over by time.
    Expired,
}

impl SessionStatus {
    pub const ALL: [Self; 8] = [
        Self::Launching,
        Self::Ready,
        Self::Grading,
        Self::Finishing,
        Self::Finished,
        Self::Failed,
        Self::Dirty,
        Self::Expired,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Launching => "launching",
            Self::Ready => "ready",
            Self::Grading => "grading",
            Self::Finishing => "finishing",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Dirty => "dirty",
            Self::Expired => "expired",
        }
    }

    /// Whether it ends a session. `Dirty` does not: its owner can still finish what was left.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Finished | Self::Failed | Self::Expired)
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }
}

/// Why a lab that wants its learner alone is not launched: the sentence of the conflict `session.elsewhere`.
pub const ELSEWHERE: &str = "You have an open session of another lab; finish that one first.";

/// One learner in one lab.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    pub id: SessionId,
    pub user: UserId,
    pub lab: String,
    pub lab_version: String,
    pub status: SessionStatus,
    /// The run that last moved it: the launch, the finish or the reset.
    pub run: Option<RunId>,
    /// Terraform's outputs that are not sensitive.
    pub outputs: Value,
    /// Which of the outputs the learner may see; none means all.
    pub shown: Option<Vec<String>>,
    pub created_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub time: SessionTime,
}

impl Session {
    /// The outputs that the learner may see.
    pub fn shown_outputs(&self) -> Value {
        shown(self.outputs.clone(), self.shown.as_deref())
    }
}

/// Of Terraform's outputs those that a learner may see.
pub fn shown(mut outputs: Value, names: Option<&[String]>) -> Value {
    if let (Some(outputs), Some(names)) = (outputs.as_object_mut(), names) {
        outputs.retain(|name, _| names.contains(name));
    }
    outputs
}

/// One graded attempt; never changed once stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grade {
    pub session: SessionId,
    pub run: RunId,
    pub score: f64,
    pub max: f64,
    /// The grader's tests: `[{id, name, points, max, status, message}]`.
    pub tests: Value,
    pub feedback: Option<String>,
    /// SHA-256 of the grading program, hexadecimal.
    pub grader_sha256: String,
    pub lab_version: String,
    pub duration_ms: i64,
}

/// Where sessions and grades are kept.
#[async_trait]
pub trait LabSessions: Send + Sync {
    /// Makes the session of this user in this lab, or returns the live one: at most one is live at a time. With
    /// another lab's session live, a lab that wants its learner alone is the conflict `session.elsewhere`.
    async fn open(&self, user: UserId, lab: &Lab) -> Result<Session>;
    /// The live session of this user in this lab.
    async fn live(&self, user: UserId, lab: &str) -> Result<Option<Session>>;
    /// Those of these users who have a live session of this lab.
    async fn members(&self, lab: &str, users: &[UserId]) -> Result<Vec<UserId>>;
    /// The live sessions of this user, oldest first.
    async fn live_of(&self, user: UserId) -> Result<Vec<Session>>;
    async fn session(&self, id: SessionId) -> Result<Option<Session>>;
    /// Sessions, open or over, the newest first.
    async fn find(&self, filter: &SessionFilter) -> Result<Vec<Listed>>;
    /// This user's best scores, one of each lab that there is one of.
    async fn bests(&self, user: UserId) -> Result<Vec<BestScore>>;
    /// Notes that `run` moves the session, if it was `before` that last did. Returns the run that is noted then: of
    /// several that try at once all hear of the same one.
    async fn set_run(&self, id: SessionId, before: Option<RunId>, run: RunId) -> Result<RunId>;
    /// Notes a run that is about the session and does not move it: its timeline tells of it.
    async fn add_run(&self, id: SessionId, run: RunId) -> Result<()>;
    /// Its owner uses it: the idle clock starts anew. One that is over, or about to be, stays so.
    async fn touch(&self, id: SessionId) -> Result<()>;
    /// Extends it once; the conflicts are `session.not_ready`, `session.ending` and `session.no_extension`.
    async fn extend(&self, id: SessionId) -> Result<Session>;
    /// Those whose end is near and was not told: each end of each session is told of here once.
    async fn warnings(&self) -> Result<Vec<Session>>;
    /// Those whose time is over and that nobody has asked to be taken down for a minute; noted as ending.
    async fn run_out(&self) -> Result<Vec<Session>>;
    /// Moves a session on; `outputs` replaces what was there when given. A final status ends it.
    async fn set_status(&self, id: SessionId, status: SessionStatus, outputs: Option<Value>) -> Result<()>;
    /// Appends an attempt; the same run's attempt is stored once. Returns its number in the session, from 1.
    async fn add_grade(&self, grade: &Grade) -> Result<u32>;
    async fn grades(&self, session: SessionId) -> Result<Vec<Grade>>;
}

/// A version of a session's Terraform state, as copied from its directory.
#[derive(Clone, Debug, PartialEq)]
pub struct StateCopy {
    pub lineage: String,
    pub serial: i64,
    /// The state file, in clear; the adapter encrypts it.
    pub bytes: Vec<u8>,
}

/// Where copies of Terraform states are kept, encrypted.
#[async_trait]
pub trait StateCopies: Send + Sync {
    /// Whether copies can be kept at all; the error says what to configure.
    fn ready(&self) -> Result<()>;
    /// Keeps a copy as another version, and all earlier ones, unless one of the same lineage with a higher serial is
    /// there, or this very one is the latest (`false`). Several have one serial: Terraform raises it once a command,
    /// while the file grows with every object.
    async fn keep(&self, session: SessionId, copy: StateCopy) -> Result<bool>;
    /// The copy with the highest serial; of several with one serial the newest.
    async fn latest(&self, session: SessionId) -> Result<Option<StateCopy>>;
}
