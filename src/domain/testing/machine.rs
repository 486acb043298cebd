//! A machine with programs, Terraform and graders, none of which is real. It outlives the processes of the service, as
//! a machine does: what was started is found again by whoever comes next.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::flow_store::effect;
use super::held;
use crate::labs::{GradeJob, Graded, Graders};
use crate::ports::{
    ChildState, Exit, Lines, Program, Programs, Terraform, TerraformEnd, TerraformJob, TerraformWatch,
};
use crate::{CancelSignal, Result, SessionId};

/// Programs end well at once and repeat what they were given; Terraform makes one thing for each session; graders give
/// every point.
#[derive(Default)]
pub struct Machine {
    ended: Mutex<BTreeMap<PathBuf, Exit>>,
    built: Mutex<BTreeSet<SessionId>>,
}

impl Machine {
    /// How many programs were started, graders included.
    pub fn programs(&self) -> usize {
        held(&self.ended).len()
    }

    /// The sessions that Terraform has made something for.
    pub fn built(&self) -> usize {
        held(&self.built).len()
    }

    /// The exit of the program of this record; started only if nobody has.
    fn follow(&self, record: &Path, stdout: String) -> Exit {
        let exit = Exit {
            code: Some(0),
            signal: None,
            timed_out: false,
            cancelled: false,
            stdout,
            stderr: String::new(),
        };
        held(&self.ended).entry(record.to_owned()).or_insert(exit).clone()
    }
}

#[async_trait]
impl Programs for Machine {
    async fn run(&self, program: Program, lines: &dyn Lines, _: &CancelSignal) -> Result<Exit> {
        effect().await;
        let given = program.stdin.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let exit = self.follow(&program.record_dir, given.unwrap_or_else(|| program.args.join(" ")));
        exit.stdout.lines().for_each(|line| lines.stdout(line));
        Ok(exit)
    }

    fn allowed(&self, name: &str) -> Result<PathBuf> {
        Ok(Path::new("/usr/bin").join(name))
    }

    fn inspect(&self, record_dir: &Path) -> ChildState {
        let exit = held(&self.ended).get(record_dir).cloned();
        exit.map_or(ChildState::NeverStarted, ChildState::Exited)
    }
}

#[async_trait]
impl Terraform for Machine {
    async fn apply(
        &self,
        job: &TerraformJob,
        watch: &dyn TerraformWatch,
        _: &CancelSignal,
    ) -> std::result::Result<Value, TerraformEnd> {
        effect().await;
        watch.progress(50, "Making it");
        held(&self.built).insert(job.session);
        Ok(json!({"address": "127.0.0.1"}))
    }

    async fn destroy(
        &self,
        job: &TerraformJob,
        _: &dyn TerraformWatch,
        _: &CancelSignal,
    ) -> std::result::Result<(), TerraformEnd> {
        effect().await;
        held(&self.built).remove(&job.session);
        Ok(())
    }
}

#[async_trait]
impl Graders for Machine {
    async fn grade(&self, job: GradeJob, _: &dyn Lines, _: &CancelSignal) -> Result<Graded> {
        effect().await;
        let exit = self.follow(&job.record_dir, String::new());
        Ok(Graded { exit, result: Ok(Some(json!({"score": 1, "max": 1}).to_string())) })
    }
}
