//! Programs as child processes that outlive the service: adapter of the port `Programs`.
//!
//! The service starts its own executable again as `child DIR`, the wrapper, and reads what happens from files in
//! that directory. Standard output is a file and not a pipe: a pipe whose reader is gone would kill the program, and
//! a full one would stop it.

mod confine;
mod follow;
mod identity;
mod mask;
mod meters;
mod output;
pub mod record;
mod wrapper;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use flow_domain::ports::{ChildState, Exit, Lines, Program, Programs};
use flow_domain::{CancelSignal, Error, Kind, Result, RunId};
use tokio::process::{Child, Command};

use super::disk;
pub use confine::end_all_of;
use follow::Patience;
use meters::ChildMeters;
use record::{Record, Spec, private_dir};
pub use wrapper::child_main;

#[derive(Clone, Debug)]
pub struct ProcessOptions {
    /// This service's executable: it is started again as `child DIR`.
    pub executable: PathBuf,
    /// Where records with a relative path go.
    pub records: PathBuf,
    /// Programs that flows may run, by name: absolute paths.
    pub allowed: BTreeMap<String, PathBuf>,
}

pub struct ChildPrograms {
    options: ProcessOptions,
    meters: ChildMeters,
}

impl ChildPrograms {
    pub fn new(options: ProcessOptions) -> Self {
        Self { options, meters: ChildMeters::default() }
    }

    /// Removes the records of runs that nothing was written to for this long; how many runs it was. Blocks.
    pub fn prune(&self, older_than: Duration) -> usize {
        let Ok(entries) = fs::read_dir(&self.options.records) else { return 0 };
        let stale = |dir: &Path| {
            let changed = fs::metadata(dir).and_then(|metadata| metadata.modified()).ok();
            changed
                .and_then(|at| SystemTime::now().duration_since(at).ok())
                .is_some_and(|age| age >= older_than)
        };
        entries
            .flatten()
            .filter(|entry| entry.file_name().to_str().and_then(RunId::parse).is_some())
            .map(|entry| entry.path())
            .filter(|run| {
                records_below(run)
                    .iter()
                    .all(|record| stale(record) && inspect(record) != ChildState::Running)
                    && stale(run)
                    && fs::remove_dir_all(run).is_ok()
            })
            .count()
    }

    fn record(&self, dir: &Path) -> Result<Record> {
        let inside = dir.components().all(|part| matches!(part, Component::Normal(_)));
        match dir.is_absolute() || inside {
            true => Ok(Record::at(self.options.records.join(dir))),
            false => Err(Error::internal(format!("a record's directory leads elsewhere: {}", dir.display()))),
        }
    }

    /// Starts the program unless the record says that it was started before.
    fn start(&self, record: &Record, program: &Program) -> std::io::Result<Option<Child>> {
        let Some(lock) = record.try_lock()? else { return Ok(None) };
        if record.begun() {
            return Ok(None);
        }
        let cwd = record.dir().join(&program.cwd);
        if program.cwd.is_relative() {
            private_dir(&cwd)?;
        }
        let spec = Spec {
            path: program.path.clone(),
            args: program.args.clone(),
            env: with_trace(program.env.clone()),
            cwd,
            stdin: program.stdin.is_some(),
            limits: program.limits,
            confine: program.confine,
        };
        record.prepare(&spec, program.stdin.as_deref())?;
        drop(lock);
        let wrapper = Command::new(&self.options.executable)
            .arg("child")
            .arg(record.dir())
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(false)
            .spawn()?;
        Ok(Some(wrapper))
    }
}

#[async_trait]
impl Programs for ChildPrograms {
    async fn run(&self, program: Program, lines: &dyn Lines, cancel: &CancelSignal) -> Result<Exit> {
        let record = self.record(&program.record_dir)?;
        record.create().map_err(not_started)?;
        if cancel.is_cancelled() && inspect(record.dir()) == ChildState::NeverStarted {
            return Ok(never_ran());
        }
        let wrapper = self.start(&record, &program).map_err(not_started)?;
        let _followed = self.meters.follow(wrapper.is_some());
        let patience = Patience { timeout: program.timeout, grace: program.grace };
        let end = follow::follow(&record, wrapper, &patience, lines, cancel).await;
        if let Err(error) = mask::mask(&record, lines) {
            log::error!("a program's output could not be cleaned of secrets: {error}");
        }
        end
    }

    fn allowed(&self, name: &str) -> Result<PathBuf> {
        self.options.allowed.get(name).cloned().ok_or_else(|| {
            Error::forbidden(
                "program.not_allowed",
                format!("The program {name:?} is not on this service's list."),
            )
        })
    }

    fn inspect(&self, record_dir: &Path) -> ChildState {
        self.record(record_dir).map_or(ChildState::Lost, |record| inspect(record.dir()))
    }
}

/// What became of the program of this record; a start that was prepared and not made is called off.
pub fn inspect(record_dir: &Path) -> ChildState {
    let record = Record::at(record_dir);
    match follow::state(&record) {
        Ok(ChildState::NeverStarted) if record.exists() => match call_off(&record) {
            Ok(true) => ChildState::NeverStarted,
            // Somebody was quicker.
            Ok(false) => ChildState::Running,
            Err(_) => ChildState::Lost,
        },
        Ok(state) => state,
        Err(error) => {
            log::error!("a program's record cannot be read: {error}");
            ChildState::Lost
        }
    }
}

/// `false` when somebody is about to start it after all.
fn call_off(record: &Record) -> std::io::Result<bool> {
    // It could not be started, and will not be.
    if record.ending()?.is_some() {
        return Ok(true);
    }
    let Some(_lock) = record.try_lock()? else { return Ok(false) };
    if record.begun() {
        return Ok(false);
    }
    record.forget_spec()?;
    Ok(true)
}

/// Records lie two levels below their run: step and attempt.
fn records_below(run: &Path) -> Vec<PathBuf> {
    let below = |dir: &Path| {
        fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect::<Vec<_>>()
    };
    below(run).iter().flat_map(|step| below(step)).collect()
}

/// A program of a traced request can go on with its trace.
fn with_trace(mut env: BTreeMap<String, String>) -> BTreeMap<String, String> {
    if let Some(trace) = flow_domain::trace::current() {
        env.insert("TRACEPARENT".to_owned(), trace.to_string());
    }
    env
}

fn never_ran() -> Exit {
    Exit {
        code: None,
        signal: None,
        timed_out: false,
        cancelled: true,
        stdout: String::new(),
        stderr: String::new(),
    }
}

fn not_started(cause: std::io::Error) -> Error {
    if let Some(full) = disk::full(&cause) {
        return full;
    }
    Error::new(Kind::Internal, "program.not_started", "The program could not be started on this machine.")
        .because(cause)
}
