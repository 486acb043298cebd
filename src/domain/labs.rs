//! Labs: folders with Terraform, a grader and words; sessions: one learner in one of them.

mod grading;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Result, RunId, SessionId, UserId};
pub use grading::{Evidence, GradeEvidence, GradeJob, Graded, Graders, Grading, GradingPolicy};

/// A lab as its folder describes it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Lab {
    /// The folder's name.
    pub name: String,
    pub title: String,
    pub summary: String,
    /// How long a learner needs, in minutes.
    pub minutes: u32,
    /// The folder itself; never shown to a caller.
    #[serde(skip)]
    pub dir: PathBuf,
    /// SHA-256 over the folder's files, hexadecimal.
    pub version: String,
    /// How long an apply may take, in seconds.
    pub apply_timeout_s: u64,
    /// How long the grader may take, in seconds.
    pub grade_timeout_s: u64,
    /// What the grader may use, and which attempt counts.
    pub grading: Grading,
}

/// The labs this service offers.
pub trait LabCatalogue: Send + Sync {
    fn lab(&self, name: &str) -> Option<Arc<Lab>>;
    fn labs(&self) -> Vec<Arc<Lab>>;
}

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
        [
            Self::Launching,
            Self::Ready,
            Self::Grading,
            Self::Finishing,
            Self::Finished,
            Self::Failed,
            Self::Dirty,
            Self::Expired,
        ]
        .into_iter()
        .find(|status| status.as_str() == name)
    }
}

/// One learner in one lab.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    pub id: SessionId,
    pub user: UserId,
    pub lab: String,
    pub lab_version: String,
    pub status: SessionStatus,
    /// Terraform's outputs that the learner may see.
    pub outputs: Value,
    pub created_at: Timestamp,
    pub ended_at: Option<Timestamp>,
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
    /// Makes the session of this user in this lab, or returns the live one: at most one is live at a time.
    async fn open(&self, user: UserId, lab: &Lab) -> Result<Session>;
    /// The live session of this user in this lab.
    async fn live(&self, user: UserId, lab: &str) -> Result<Option<Session>>;
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
    /// Keeps a copy, unless one of the same lineage with a higher serial is there (`false`). One with the same serial
    /// is replaced: Terraform raises it once a command, while the file grows with every object.
    async fn keep(&self, session: SessionId, copy: StateCopy) -> Result<bool>;
    /// The copy with the highest serial.
    async fn latest(&self, session: SessionId) -> Result<Option<StateCopy>>;
}
