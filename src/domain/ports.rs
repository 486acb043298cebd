//! What tasks may reach outside the domain. Each is a role; the adapters that fill them live in the service.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cache::Cache;
use crate::datasets::Datasets;
use crate::flows::secret::Secrets;
use crate::ingest::Ingest;
use crate::labs::machines::{Ledger, Machines, MachinesAtWork, TaskNotes};
use crate::labs::{GradeEvidence, Graders, LabCatalogue, LabSessions, LabVersion, StepChecks};
use crate::openid::AccessTokens;
use crate::queue::Outbox;
use crate::users::Users;
use crate::{CancelSignal, Result, SessionId, UserId};

/// All ports a task can use, handed to it in its context.
#[derive(Clone)]
pub struct Ports {
    pub http: Arc<dyn HttpClient>,
    pub programs: Arc<dyn Programs>,
    pub terraform: Arc<dyn Terraform>,
    pub workspaces: Arc<dyn Workspaces>,
    pub labs: Arc<dyn LabCatalogue>,
    pub sessions: Arc<dyn LabSessions>,
    pub step_checks: Arc<dyn StepChecks>,
    pub secrets: Arc<dyn Secrets>,
    pub ledger: Arc<dyn Ledger>,
    pub machines: Arc<dyn Machines>,
    pub task_notes: Arc<dyn TaskNotes>,
    pub graders: Arc<dyn Graders>,
    pub evidence: Arc<dyn GradeEvidence>,
    pub datasets: Arc<dyn Datasets>,
    pub users: Arc<dyn Users>,
    pub access_tokens: Arc<AccessTokens>,
    pub cache: Arc<dyn Cache>,
    pub outbox: Arc<dyn Outbox>,
    pub ingest: Arc<Ingest>,
}

/// A request to another server.
#[derive(Clone, Debug)]
pub struct HttpRequest {
    pub method: String,
    pub url: String,
    pub headers: BTreeMap<String, String>,
    pub body: Option<Vec<u8>>,
    pub timeout: Duration,
    /// A longer answer is an error, not a cut one.
    pub max_bytes: usize,
}

#[derive(Clone, Debug)]
pub struct HttpResponse {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

/// Calls other servers, but only those the configuration allows: any other host is `Forbidden`, and so is a
/// redirect to one. Unreachable or too slow is `Unavailable`.
#[async_trait]
pub trait HttpClient: Send + Sync {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse>;
}

/// A program to run: no shell, arguments as a list, an environment built from nothing.
#[derive(Clone, Debug)]
pub struct Program {
    /// Absolute path of the program.
    pub path: PathBuf,
    pub args: Vec<String>,
    pub env: BTreeMap<String, String>,
    /// A relative one is below the record's directory, and made.
    pub cwd: PathBuf,
    /// Where its output, pid and exit code are kept; made if missing, 0700. The same directory given again after
    /// a crash finds the program that was started there. A relative one is below the adapter's own directory.
    pub record_dir: PathBuf,
    /// Given to it on standard input.
    pub stdin: Option<Vec<u8>>,
    /// SIGINT to the program's own pid, this long to end by itself, then SIGKILL to its group; a forced cancel is the
    /// SIGKILL at once.
    pub grace: Duration,
    pub timeout: Duration,
    pub limits: Limits,
    /// It is not trusted with more than its own files.
    pub confine: Option<Confine>,
}

/// What a program is held to that is not trusted: all that it starts ends with it, and it gains no rights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confine {
    /// The user and the group it runs as; none: those of the service.
    pub account: Option<u32>,
}

/// What a program may use at most; none is no limit of ours. They hold for each process of it by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    pub cpu_s: Option<u64>,
    pub memory_bytes: Option<u64>,
    /// Of one file it writes, its output included.
    pub file_bytes: Option<u64>,
    /// Processes and threads at once. The system counts them by user: of one that others use too, this many more
    /// than it has at the start.
    #[serde(default)]
    pub processes: Option<u64>,
}

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Exit code, or none when a signal ended it.
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub timed_out: bool,
    /// It was asked to stop by the cancel signal.
    pub cancelled: bool,
    /// Head and tail of what it wrote, at most 64 KiB each.
    pub stdout: String,
    pub stderr: String,
}

/// What a record directory tells of the program that was to run there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChildState {
    /// No program was started, and none will be by an earlier call.
    NeverStarted,
    Running,
    Exited(Exit),
    /// It was started and is gone, and nobody saw how it ended.
    Lost,
}

/// Hears a program's output lines as they come.
pub trait Lines: Send + Sync {
    fn stdout(&self, line: &str);
    fn stderr(&self, line: &str);
    /// The line as it may be kept once the program has ended, if that is another than it wrote: without the secrets
    /// that it was given.
    fn masked(&self, _line: &str) -> Option<String> {
        None
    }
}

/// Runs child processes, each in a session of its own with its output in files, so that the death of the service
/// does not kill them. When `run` returns, no process of the program's group is alive.
#[async_trait]
pub trait Programs: Send + Sync {
    /// Starts the program and follows it to its end. Could not be started: an error, and nothing was run. Dropping
    /// the call lets the program go on; another call with its record directory follows it again, from its first line.
    /// Started and gone, with nobody left to tell how it ended, is the error `program.lost`.
    async fn run(&self, program: Program, lines: &dyn Lines, cancel: &CancelSignal) -> Result<Exit>;
    /// The absolute path of an allowed program by its name; any other is `Forbidden`.
    fn allowed(&self, name: &str) -> Result<PathBuf>;
    /// What became of the program of this record directory; a start that was prepared and not made is called off.
    fn inspect(&self, record_dir: &Path) -> ChildState;
}

/// What to build or to take down.
#[derive(Clone, Debug)]
pub struct TerraformJob {
    pub session: SessionId,
    /// Whose earlier runs tell how long it takes; none: nothing is told and nothing is kept.
    pub of: Option<LabVersion>,
    /// The session's directory, holding the lab's `*.tf` files.
    pub dir: PathBuf,
    /// Passed as `TF_VAR_name`; never on the command line.
    pub variables: BTreeMap<String, String>,
    pub timeout: Duration,
    pub grace: Duration,
}

/// Hears how far Terraform is.
pub trait TerraformWatch: Send + Sync {
    /// 0 to 100, never going back, and what is going on in words.
    fn progress(&self, percent: u8, message: &str);
    /// A line for the log.
    fn line(&self, line: &str);
    /// What is known now of the machines that it makes or removes. Asked about each second while it does.
    fn machines(&self) -> MachinesAtWork {
        MachinesAtWork::default()
    }
}

/// How a Terraform command ended when it did not do what was asked.
#[derive(Clone, Debug)]
pub enum TerraformEnd {
    /// Nothing was touched: no terraform on this machine, a broken configuration, no place for the state copy.
    Untouched(String),
    /// Something may have been made or left; the diagnostics' summaries.
    Failed(String),
    /// Killed while it changed something: objects may be there that its state does not know.
    Killed(String),
    /// Stopped by the cancel signal or the timeout; something may be left.
    Stopped { timed_out: bool },
}

/// Terraform, or OpenTofu, as a child process.
#[async_trait]
pub trait Terraform: Send + Sync {
    /// `apply`; returns the outputs that are not sensitive, by name.
    async fn apply(
        &self,
        job: &TerraformJob,
        watch: &dyn TerraformWatch,
        cancel: &CancelSignal,
    ) -> std::result::Result<Value, TerraformEnd>;
    /// `apply -destroy`; with no state there is nothing to do, and that is success.
    async fn destroy(
        &self,
        job: &TerraformJob,
        watch: &dyn TerraformWatch,
        cancel: &CancelSignal,
    ) -> std::result::Result<(), TerraformEnd>;
}

/// Directories of learners: one per user, one below it per lab, 0700, never outside the root.
#[async_trait]
pub trait Workspaces: Send + Sync {
    /// Makes what is missing and returns the path; `true` if it was made now.
    async fn create(&self, user: UserId, lab: &str) -> Result<(PathBuf, bool)>;
    /// The path, if it is there.
    async fn find(&self, user: UserId, lab: &str) -> Result<Option<PathBuf>>;
    /// Copies a lab's folder in; files of the same name are replaced.
    async fn fill(&self, user: UserId, lab: &str, from: &Path) -> Result<()>;
    /// Removes the lab's directory and all in it; not there is fine.
    async fn remove(&self, user: UserId, lab: &str) -> Result<()>;
}
