//! Runs a command, or follows one that outlived its service, to its end.

use std::fs;
use std::path::Path;

use flow_domain::CancelSignal;
use flow_domain::ports::{ChildState, Exit, Limits, Program, TerraformEnd, TerraformJob, TerraformWatch};

use super::doubt::Doubt;
use super::listen::{self, Listener};
use super::place::{Command, Place};
use super::places::{Position, Taken};
use super::state::{self, Standing};
use super::stream::Stream;
use super::verdict::{killed_end, refuse};
use super::{Answer, TerraformCli};

/// How far an earlier command is says nothing about the one that waits for it.
struct LinesOnly<'a>(&'a dyn TerraformWatch);

impl TerraformWatch for LinesOnly<'_> {
    fn progress(&self, _percent: u8, _message: &str) {}

    fn line(&self, line: &str) {
        self.0.line(line);
    }
}

/// A command that was followed to its end.
pub(super) struct Ran {
    pub exit: Exit,
    pub stream: Stream,
    /// It was stopped because its plan took too long.
    pub plan_timed_out: bool,
}

impl TerraformCli {
    /// Runs a command to its end, with `init` first if it turns out to be needed.
    pub(super) async fn command(
        &self,
        command: Command,
        job: &TerraformJob,
        watch: &dyn TerraformWatch,
        cancel: &CancelSignal,
    ) -> Answer<Ran> {
        let place = Place::of(job);
        let Some(binary) = self.binary() else {
            let sentence =
                "This machine has no terraform or tofu; install one of them, or name it in terraform.bin.";
            return Err(refuse(&place, sentence));
        };
        // A command that outlived its service holds its place already.
        let running = self.programs.inspect(&place.record(command)) == ChildState::Running;
        let _permit = match running {
            true => self.places.take_now(),
            false => self.wait_for_place(command, watch, cancel, &place).await?,
        };

        let (mut objects, mut shared) = (0, false);
        if !running {
            objects = self.settle_state(job, &place).await?;
            shared = self.set_up_before(&binary, job, watch, cancel).await?;
        }
        let pace = self.pace(command, job).await;
        let stream = || Stream::new(objects, pace.clone()).not_below(place.percent(command));
        let mut ran = self.follow(command, &binary, job, watch, cancel, stream()).await?;
        // Twice, for what another session got may not do for this one.
        for _ in 0..2 {
            if !ran.stream.needs_init() || cancel.is_cancelled() {
                break;
            }
            shared = self.set_up(&binary, job, watch, cancel, shared).await?;
            ran = self.follow(command, &binary, job, watch, cancel, stream()).await?;
        }
        Ok(ran)
    }

    /// Starts a command, or finds the one that was started, and follows it. Its state is copied as it changes and
    /// at the end, however it ended.
    pub(super) async fn follow(
        &self,
        command: Command,
        binary: &Path,
        job: &TerraformJob,
        watch: &dyn TerraformWatch,
        cancel: &CancelSignal,
        stream: Stream,
    ) -> Answer<Ran> {
        let place = Place::of(job);
        let program = Program {
            path: binary.to_owned(),
            args: command.args(),
            env: place.environment(&self.options, &job.variables),
            cwd: job.dir.clone(),
            record_dir: place.record(command),
            stdin: None,
            grace: job.grace,
            timeout: match command {
                Command::Init => self.options.patience.init,
                Command::Reconcile => self.options.patience.plan,
                Command::Apply | Command::Destroy => job.timeout,
            },
            limits: Limits::default(),
            confine: None,
        };
        place.reserve(command);
        let stop = cancel.child_token();
        let listener = Listener::new(&place, command, watch, stop.clone(), stream, &self.options.patience);
        let ended = tokio::select! {
            ended = self.programs.run(program, &listener, &stop) => ended,
            never = listener.keep_state(&*self.copies, job.session) => never,
        };
        let (stream, plan_timed_out) = listener.into_heard();
        if stream.unwritten() {
            state::rescue(&*self.copies, job.session, &place.state(), stream.dumped()).await;
        } else if command != Command::Init {
            listen::keep(&*self.copies, job.session, &place.state()).await;
        }
        let killed = match &ended {
            Ok(exit) => exit.signal.is_some(),
            Err(error) => error.code == "program.lost",
        };
        let changes = matches!(command, Command::Apply | Command::Destroy);
        // What became of the state is not certain either when it could not be written.
        if (killed || stream.unwritten()) && changes && place.is_touched() {
            Doubt::mark(&place, command);
        }
        // From here on the state says it all, and a command that is run again finds nothing to do.
        place.forget(command);
        match ended {
            Ok(exit) => Ok(Ran { exit, stream, plan_timed_out }),
            Err(error) => {
                log::warn!("session={} terraform {}: {error}", job.session, command.word());
                match error.code {
                    "program.lost" => Err(killed_end(&place)),
                    _ => Err(refuse(&place, &error.public)),
                }
            }
        }
    }

    /// Waits until few enough commands run at once.
    async fn wait_for_place(
        &self,
        command: Command,
        watch: &dyn TerraformWatch,
        cancel: &CancelSignal,
        place: &Place,
    ) -> Answer<Taken<'_>> {
        let tell = |(position, of): Position| {
            let words = format!("Waiting for other labs: {position} of {of} in the queue");
            watch.progress(place.percent(command), &words);
        };
        tokio::select! {
            taken = self.places.take(tell) => Ok(taken),
            () = cancel.cancelled() => Err(refuse(place, "Cancelled before Terraform was started.")),
        }
    }

    /// Puts the better state in place; how many objects it has.
    pub(super) async fn settle_state(&self, job: &TerraformJob, place: &Place) -> Answer<usize> {
        match state::settle(&*self.copies, job.session, &place.state()).await {
            Ok(Standing::State { objects }) => Ok(objects),
            Ok(Standing::Nothing) if !place.is_touched() => Ok(0),
            Ok(Standing::Unreadable) if !place.is_touched() => {
                // Left by a command that was killed before it made anything.
                let _ = fs::remove_file(place.state());
                Ok(0)
            }
            Ok(Standing::Nothing | Standing::Unreadable)
                if Doubt::of(place).is_some_and(|doubt| doubt.made_nothing()) =>
            {
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
    pub(super) async fn end_earlier(
        &self,
        earlier: Command,
        job: &TerraformJob,
        watch: &dyn TerraformWatch,
        stop: &CancelSignal,
    ) {
        let place = Place::of(job);
        if matches!(self.programs.inspect(&place.record(earlier)), ChildState::Running | ChildState::Lost) {
            watch.line(&format!("Waiting for an earlier terraform {} to end.", earlier.word()));
            // How it ends does not matter: what it did is in the state.
            let lines = LinesOnly(watch);
            let _ = self.follow(earlier, Path::new("terraform"), job, &lines, stop, Stream::default()).await;
        }
        place.forget(earlier);
    }
}
