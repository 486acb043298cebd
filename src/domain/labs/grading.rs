//! Grading: what a lab allows its grader, which attempt counts, and the port through which a grader is run.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Grade;
use crate::ports::{Exit, Limits, Lines};
use crate::{CancelSignal, Result, RunId, SessionId};

/// The section `[grading]` of a `lab.toml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Grading {
    /// Which attempt counts.
    pub policy: GradingPolicy,
    /// How long the grader may take, in seconds.
    #[schemars(range(min = 1, max = 900))]
    pub timeout_s: u64,
    /// Address space of each of the grader's processes, in MiB; that is more than what is used.
    #[schemars(range(min = 1, max = 65536))]
    pub memory_mb: u64,
    /// Processes and threads of the grader at once.
    #[schemars(range(min = 1, max = 4096))]
    pub processes: u64,
    /// Of one file the grader writes, its output included, in MiB.
    #[schemars(range(min = 1, max = 4096))]
    pub file_mb: u64,
}

impl Default for Grading {
    fn default() -> Self {
        Self { policy: GradingPolicy::Best, timeout_s: 60, memory_mb: 4096, processes: 64, file_mb: 16 }
    }
}

impl Grading {
    /// One thread that computes is ended by the timeout; a process with many of them by its processor time.
    pub fn limits(&self, timeout: Duration) -> Limits {
        Limits {
            cpu_s: Some(2 * timeout.as_secs() + 10),
            memory_bytes: Some(self.memory_mb << 20),
            file_bytes: Some(self.file_mb << 20),
            processes: Some(self.processes),
        }
    }
}

/// Which of a session's attempts counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GradingPolicy {
    /// The one with the largest share of its maximum; of equal ones the first.
    Best,
    Last,
    First,
}

impl GradingPolicy {
    /// The index of the attempt that counts, of attempts in their order.
    pub fn counts(self, attempts: &[Grade]) -> Option<usize> {
        match self {
            GradingPolicy::First => (!attempts.is_empty()).then_some(0),
            GradingPolicy::Last => attempts.len().checked_sub(1),
            GradingPolicy::Best => {
                let share = |grade: &Grade| if grade.max > 0.0 { grade.score / grade.max } else { 0.0 };
                let indexed = attempts.iter().enumerate();
                indexed.rev().max_by(|(_, a), (_, b)| share(a).total_cmp(&share(b))).map(|(index, _)| index)
            }
        }
    }
}

/// One attempt to be graded.
#[derive(Clone, Debug)]
pub struct GradeJob {
    /// The grading program.
    pub grader: PathBuf,
    /// The session's directory; the grader gets a copy of its files.
    pub dir: PathBuf,
    /// Where the record of the grader is kept. Given again after a crash, it finds the grader that was started.
    pub record_dir: PathBuf,
    /// What the grader is told, an object; `directory`, where the copy is, is added.
    pub input: Value,
    pub limits: Limits,
    pub timeout: Duration,
    pub grace: Duration,
}

/// How a grader ended.
#[derive(Clone, Debug)]
pub struct Graded {
    pub exit: Exit,
    /// The text of its result file, if it wrote one; the error says why it cannot be taken.
    pub result: std::result::Result<Option<String>, String>,
}

/// Runs graders: as a user of their own where that can be, with nothing of ours in reach, within their limits.
#[async_trait]
pub trait Graders: Send + Sync {
    /// Runs the grader to its end; nothing of it is alive then. An error is one of ours, and never a grade.
    async fn grade(&self, job: GradeJob, lines: &dyn Lines, cancel: &CancelSignal) -> Result<Graded>;
}

/// What a grader left, whatever it was worth: for operators, not for learners.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    pub session: SessionId,
    pub run: RunId,
    /// `graded`, `not_gradable`, or the code of what went wrong.
    pub outcome: String,
    /// The tests as the grader told them, hidden ones too: `[{id, name, points, max, status, message, hidden}]`.
    pub tests: Value,
    /// Head and tail of what it wrote to both streams.
    pub output: String,
    /// SHA-256 of the grading program, hexadecimal.
    pub grader_sha256: String,
    pub lab_version: String,
    pub duration_ms: i64,
}

/// Where evidence is kept.
#[async_trait]
pub trait GradeEvidence: Send + Sync {
    /// Appends; what is there is never changed.
    async fn keep(&self, evidence: &Evidence) -> Result<()>;
    /// All of a session, in order.
    async fn of_session(&self, session: SessionId) -> Result<Vec<Evidence>>;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn attempt(score: f64, max: f64) -> Grade {
        Grade {
            session: SessionId::new(),
            run: RunId::new(),
            score,
            max,
            tests: json!([]),
            feedback: None,
            grader_sha256: String::new(),
            lab_version: String::new(),
            duration_ms: 0,
        }
    }

    #[test]
    fn each_policy_picks_its_attempt() {
        let attempts = [attempt(1.0, 4.0), attempt(9.0, 10.0), attempt(90.0, 100.0), attempt(50.0, 100.0)];
        assert_eq!(GradingPolicy::First.counts(&attempts), Some(0));
        assert_eq!(GradingPolicy::Best.counts(&attempts), Some(1), "of equal shares the first");
        assert_eq!(GradingPolicy::Last.counts(&attempts), Some(3));
        for policy in [GradingPolicy::First, GradingPolicy::Best, GradingPolicy::Last] {
            assert_eq!(policy.counts(&[]), None);
        }
    }
}
