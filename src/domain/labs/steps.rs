//! How far a learner is in a tutorial.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::{Result, RunId, SessionId};

/// One look at a step of a session's tutorial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    pub session: SessionId,
    /// From 1.
    pub step: u32,
    pub passed: bool,
    /// What the check says to the learner.
    pub message: Option<String>,
    /// The run that looked; it is one look however often it is told.
    pub run: RunId,
}

/// What is known of a step that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepState {
    pub step: u32,
    /// When it was first found done; it stays done.
    pub passed_at: Option<Timestamp>,
    pub checked_at: Timestamp,
    /// What the last look found.
    pub passed: bool,
    pub message: Option<String>,
    /// How often it was looked at.
    pub checks: u32,
}

/// Where the steps of sessions are kept.
#[async_trait]
pub trait StepChecks: Send + Sync {
    async fn keep(&self, look: &Look) -> Result<()>;
    /// Those that were looked at, in their order.
    async fn of_session(&self, session: SessionId) -> Result<Vec<StepState>>;
}
