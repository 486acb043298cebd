//! Graders as child processes: adapter of the port `Graders`.
//!
//! Each has a desk of its own with copies of what it is to look at, and, where the service is root, a user of its
//! own, so that it reaches nothing of the service's and nothing of another grader's.

mod accounts;
mod desk;
mod files;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use flow_domain::labs::{GradeJob, Graded, Graders};
use flow_domain::ports::{ChildState, Confine, Lines, Program, Programs};
use flow_domain::{CancelSignal, Error, Kind, Result};
use tokio::task::spawn_blocking;

pub use accounts::Accounts;
use desk::{Desk, Desks};

pub struct ChildGraders {
    desks: Arc<Desks>,
    programs: Arc<dyn Programs>,
}

impl ChildGraders {
    /// Desks are below `root`, which is made; graders have a user each of `accounts`, or run as the service.
    pub fn new(root: PathBuf, accounts: Accounts, programs: Arc<dyn Programs>) -> Self {
        Self { desks: Arc::new(Desks::new(root, accounts)), programs }
    }

    async fn desk(&self, job: &GradeJob) -> Result<Desk> {
        let started = self.programs.inspect(&job.record_dir) != ChildState::NeverStarted;
        let (desks, job) = (self.desks.clone(), job.clone());
        let taken = spawn_blocking(move || desks.take(&job, started)).await.map_err(Error::internal)?;
        taken.map_err(unusable)?.ok_or_else(|| {
            Error::unavailable("grade.no_place", "All places for graders are taken; it is tried again.")
        })
    }
}

#[async_trait]
impl Graders for ChildGraders {
    async fn grade(&self, job: GradeJob, lines: &dyn Lines, cancel: &CancelSignal) -> Result<Graded> {
        let desk = self.desk(&job).await?;
        let ended = self.programs.run(program(&desk, &job), lines, cancel).await;
        let graded = ended.map(|exit| Graded { exit, result: desk.result() });
        let desks = self.desks.clone();
        let given_back = spawn_blocking(move || desks.give_back(&desk, &job.record_dir)).await;
        if let Err(error) = given_back.map_err(Error::internal)? {
            log::warn!("a grader's desk is left behind: {error}");
        }
        graded
    }
}

fn program(desk: &Desk, job: &GradeJob) -> Program {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let env = [
        ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()),
        ("LANG", "C.UTF-8".to_owned()),
        ("HOME", text(&desk.work())),
        ("TMPDIR", text(&desk.work())),
        ("FM_GRADE_INPUT", text(&desk.input())),
        ("FM_GRADE_RESULT", text(&desk.result_file())),
    ];
    Program {
        path: desk.grader(),
        args: vec![],
        env: env.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<BTreeMap<_, _>>(),
        cwd: desk.work(),
        record_dir: job.record_dir.clone(),
        stdin: None,
        grace: job.grace,
        timeout: job.timeout,
        limits: job.limits,
        confine: Some(Confine { account: desk.account() }),
    }
}

fn unusable(error: std::io::Error) -> Error {
    let public = "The grader could not be given the session's files on this machine.";
    Error::new(Kind::Internal, "grade.directory_unusable", public).because(error)
}
