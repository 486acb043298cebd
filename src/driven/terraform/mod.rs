//! Terraform, or OpenTofu, as a child process: adapter of the port `Terraform`.

mod listen;
mod place;
mod state;
mod stream;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use flow_domain::labs::StateCopies;
use flow_domain::ports::{
    ChildState, Exit, Limits, Program, Programs, Terraform, TerraformEnd, TerraformJob, TerraformWatch,
};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use listen::Listener;
use place::{Command, Place};
use state::Standing;
use stream::Stream;

/// Modules and providers are fetched from a mirror or not at all; more than this is a mirror that is away.
const INIT_TIMEOUT: Duration = Duration::from_secs(300);

type Answer<T> = std::result::Result<T, TerraformEnd>;

#[derive(Clone, Debug)]
pub struct TerraformOptions {
    /// The program; else `terraform`, then `tofu`, is looked for on `search_path`.
    pub binary: Option<PathBuf>,
    /// `PATH` for finding it, and for the programs it calls.
    pub search_path: String,
    /// Commands that may run at once.
    pub at_once: usize,
}

pub struct TerraformCli {
    options: TerraformOptions,
    programs: Arc<dyn Programs>,
    copies: Arc<dyn StateCopies>,
    places: Semaphore,
}

/// A command that was followed to its end.
struct Ran {
    exit: Exit,
    stream: Stream,
}

impl TerraformCli {
    pub fn new(options: TerraformOptions, programs: Arc<dyn Programs>, copies: Arc<dyn StateCopies>) -> Self {
        let places = Semaphore::new(options.at_once.max(1));
        Self { options, programs, copies, places }
    }

    /// The program that would be run; none on a machine without one.
    pub fn binary(&self) -> Option<PathBuf> {
        let runs = |path: &Path| {
            fs::metadata(path).is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
        };
        if let Some(path) = &self.options.binary {
            return runs(path).then(|| path.clone());
        }
        let folders: Vec<_> =
            std::env::split_paths(&self.options.search_path).filter(|it| it.is_absolute()).collect();
        let candidates =
            ["terraform", "tofu"].into_iter().flat_map(|name| folders.iter().map(move |it| it.join(name)));
        candidates.into_iter().find(|path| runs(path))
    }

    /// Runs a command to its end, with `init` first if it turns out to be needed.
    async fn command(
        &self,
        command: Command,
        job: &TerraformJob,
        watch: &dyn TerraformWatch,
        cancel: &CancellationToken,
    ) -> Answer<Ran> {
        let place = Place::of(job);
        let Some(binary) = self.binary() else {
            let sentence =
                "This machine has no terraform or tofu; install one of them, or name it in terraform.bin.";
            return Err(refuse(&place, sentence));
        };
        // A command that outlived its service holds its place already.
        let running = self.programs.inspect(&place.record(command)) == ChildState::Running;
        let _permit = if running { None } else { Some(self.wait_for_place(watch, cancel, &place).await?) };

        let mut objects = 0;
        if !running {
            objects = self.settle_state(job, &place).await?;
        }
        let ran = self.follow(command, &binary, job, watch, cancel, objects).await?;
        if !ran.stream.needs_init() || cancel.is_cancelled() {
            return Ok(ran);
        }
        watch.line("Terraform is being set up for this lab.");
        let init = self.follow(Command::Init, &binary, job, watch, cancel, 0).await?;
        if init.exit.code != Some(0) {
            return Err(stopped(&init.exit).unwrap_or_else(|| refuse(&place, &init_failure(&init.exit))));
        }
        self.follow(command, &binary, job, watch, cancel, objects).await
    }

    /// Starts a command, or finds the one that was started, and follows it. Its state is copied as it changes and
    /// at the end, however it ended.
    async fn follow(
        &self,
        command: Command,
        binary: &Path,
        job: &TerraformJob,
        watch: &dyn TerraformWatch,
        cancel: &CancellationToken,
        known_objects: usize,
    ) -> Answer<Ran> {
        let place = Place::of(job);
        let program = Program {
            path: binary.to_owned(),
            args: command.args(),
            env: place.environment(&self.options.search_path, &job.variables),
            cwd: job.dir.clone(),
            record_dir: place.record(command),
            stdin: None,
            grace: job.grace,
            timeout: if command == Command::Init { INIT_TIMEOUT } else { job.timeout },
            limits: Limits::default(),
        };
        let stop = cancel.child_token();
        let listener = Listener::new(&place, watch, stop.clone(), known_objects);
        let ended = tokio::select! {
            ended = self.programs.run(program, &listener, &stop) => ended,
            never = listener.keep_state(&*self.copies, job.session) => never,
        };
        if command != Command::Init {
            listen::keep(&*self.copies, job.session, &place.state()).await;
        }
        // From here on the state says it all, and a command that is run again finds nothing to do.
        place.forget(command);
        match ended {
            Ok(exit) => Ok(Ran { exit, stream: listener.into_stream() }),
            Err(error) => {
                log::warn!("session={} terraform {}: {error}", job.session, command.word());
                match error.code {
                    "program.lost" => Err(TerraformEnd::Failed(
                        "Terraform was killed from outside, and what it was doing is in doubt.".to_owned(),
                    )),
                    _ => Err(refuse(&place, &error.public)),
                }
            }
        }
    }

    /// Waits until few enough commands run at once.
    async fn wait_for_place(
        &self,
        watch: &dyn TerraformWatch,
        cancel: &CancellationToken,
        place: &Place,
    ) -> Answer<tokio::sync::SemaphorePermit<'_>> {
        if let Ok(permit) = self.places.try_acquire() {
            return Ok(permit);
        }
        watch.progress(0, "Waiting for other labs to be ready");
        tokio::select! {
            permit = self.places.acquire() => Ok(permit.expect("the semaphore is never closed")),
            () = cancel.cancelled() => Err(refuse(place, "Cancelled before Terraform was started.")),
        }
    }

    /// Puts the better state in place; how many objects it has.
    async fn settle_state(&self, job: &TerraformJob, place: &Place) -> Answer<usize> {
        match state::settle(&*self.copies, job.session, &place.state()).await {
            Ok(Standing::State { objects }) => Ok(objects),
            Ok(Standing::Nothing) if !place.is_touched() => Ok(0),
            Ok(Standing::Unreadable) if !place.is_touched() => {
                // Left by a command that was killed before it made anything.
                let _ = fs::remove_file(place.state());
                Ok(0)
            }
            Ok(Standing::Nothing | Standing::Unreadable) => Err(TerraformEnd::Failed(
                "Terraform's state was lost before it could be copied; somebody must look for what is left."
                    .to_owned(),
            )),
            Err(error) => {
                log::error!("session={} state not read: {error}", job.session);
                Err(refuse(place, &error.public))
            }
        }
    }

    /// Ends what an earlier service left: an apply is asked to stop, a destroy is waited for, and of a command that
    /// was killed from outside the rest is killed.
    async fn end_earlier(
        &self,
        earlier: Command,
        job: &TerraformJob,
        watch: &dyn TerraformWatch,
        stop: &CancellationToken,
    ) {
        let place = Place::of(job);
        if matches!(self.programs.inspect(&place.record(earlier)), ChildState::Running | ChildState::Lost) {
            watch.line(&format!("Waiting for an earlier terraform {} to end.", earlier.word()));
            // How it ends does not matter: what it did is in the state.
            let _ = self.follow(earlier, Path::new("terraform"), job, watch, stop, 0).await;
        }
        place.forget(earlier);
    }
}

#[async_trait]
impl Terraform for TerraformCli {
    async fn apply(
        &self,
        job: &TerraformJob,
        watch: &dyn TerraformWatch,
        cancel: &CancellationToken,
    ) -> Answer<Value> {
        let place = Place::of(job);
        if let Err(error) = self.copies.ready() {
            return Err(refuse(&place, &error.public));
        }
        prepare(&place)?;
        self.end_earlier(Command::Destroy, job, watch, cancel).await;
        let ran = self.command(Command::Apply, job, watch, cancel).await?;
        judge(&place, &ran)?;
        watch.progress(100, "Ready");
        Ok(ran.stream.outputs())
    }

    async fn destroy(
        &self,
        job: &TerraformJob,
        watch: &dyn TerraformWatch,
        cancel: &CancellationToken,
    ) -> Answer<()> {
        let place = Place::of(job);
        // Without any of these there was never a state here, and no terraform is needed to say so.
        let records =
            [Command::Apply, Command::Destroy].iter().any(|command| place.record(*command).exists());
        if !records && !place.is_touched() && !place.state().exists() {
            match self.copies.ready() {
                Ok(()) => {
                    if let Ok(None) = self.copies.latest(job.session).await {
                        watch.progress(100, "There is nothing to take down");
                        return Ok(());
                    }
                }
                // No copy could ever be kept, so no apply was ever started.
                Err(_) => return Ok(()),
            }
        }
        if let Err(error) = self.copies.ready() {
            return Err(refuse(&place, &error.public));
        }
        prepare(&place)?;
        let at_once = CancellationToken::new();
        at_once.cancel();
        self.end_earlier(Command::Apply, job, watch, &at_once).await;
        match self.programs.inspect(&place.record(Command::Destroy)) {
            ChildState::Running | ChildState::Exited(_) => {}
            // A destroy makes nothing, so another one after it does no harm.
            ChildState::Lost => self.end_earlier(Command::Destroy, job, watch, cancel).await,
            ChildState::NeverStarted if self.settle_state(job, &place).await? > 0 => {}
            ChildState::NeverStarted => {
                place.untouch();
                watch.progress(100, "There is nothing to take down");
                return Ok(());
            }
        }
        let ran = self.command(Command::Destroy, job, watch, cancel).await?;
        judge(&place, &ran)?;
        place.untouch();
        watch.progress(100, "All taken down");
        Ok(())
    }
}

fn prepare(place: &Place) -> Answer<()> {
    place.prepare().map_err(|error| {
        log::error!("a session's directory cannot be used: {error}");
        refuse(place, "The session's directory cannot be used.")
    })
}

/// Nothing was touched now; but what an earlier command made may still be there.
fn refuse(place: &Place, sentence: &str) -> TerraformEnd {
    match place.is_touched() {
        true => TerraformEnd::Failed(sentence.to_owned()),
        false => TerraformEnd::Untouched(sentence.to_owned()),
    }
}

/// Every failure has exit code 1, so the diagnostics say what it was.
fn judge(place: &Place, ran: &Ran) -> Answer<()> {
    let Ran { exit, stream } = ran;
    if let Some(version) = stream.unsupported() {
        return Err(TerraformEnd::Failed(format!(
            "This Terraform reports in a format we cannot read: {version}."
        )));
    }
    // Stopped too late to matter.
    if exit.code == Some(0) {
        return Ok(());
    }
    if let Some(end) = stopped(exit) {
        return Err(end);
    }
    let sentence = match (stream.errors(), exit.signal) {
        ([], Some(signal)) => format!("Terraform was ended by signal {signal}."),
        ([], None) => format!("Terraform ended with code {} and gave no reason.", exit.code.unwrap_or(-1)),
        (errors, _) => format!("Terraform failed: {}.", errors.join("; ")),
    };
    Err(refuse(place, &sentence))
}

fn stopped(exit: &Exit) -> Option<TerraformEnd> {
    (exit.cancelled || exit.timed_out).then_some(TerraformEnd::Stopped { timed_out: exit.timed_out })
}

/// `init` speaks plain text: its first error says most.
fn init_failure(exit: &Exit) -> String {
    let error = exit.stderr.lines().chain(exit.stdout.lines()).find_map(|line| line.split_once("Error: "));
    let why = error.map_or("the log has its words", |(_, why)| why.trim());
    format!("Terraform could not be set up for this lab: {why}.")
}
