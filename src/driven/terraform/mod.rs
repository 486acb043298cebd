//! Terraform, or OpenTofu, as a child process: adapter of the port `Terraform`.

mod bar;
mod doubt;
mod follow;
mod listen;
mod place;
mod places;
mod setup;
mod shared;
mod state;
mod stream;
mod times;
mod verdict;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use flow_domain::CancelSignal;
use flow_domain::labs::{LabTimes, StateCopies};
use flow_domain::ports::{ChildState, Programs, Terraform, TerraformEnd, TerraformJob, TerraformWatch};
use serde_json::Value;

use doubt::Doubt;
use place::{Command, Place};
use places::Places;
use shared::Shared;
use verdict::{judge, refuse};

type Answer<T> = std::result::Result<T, TerraformEnd>;

#[derive(Clone, Debug)]
pub struct TerraformOptions {
    /// The program; else `terraform`, then `tofu`, is looked for on `search_path`.
    pub binary: Option<PathBuf>,
    /// `PATH` for finding it, and for the programs it calls.
    pub search_path: String,
    /// Commands that may run at once.
    pub at_once: usize,
    /// Shared by all services of a host whose commands are to be counted together.
    pub places_dir: Option<PathBuf>,
    /// PEM of an authority that providers trust as well: of the cluster that labs make machines on.
    pub ca_file: Option<PathBuf>,
    pub patience: Patience,
}

/// How long its phases may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Modules and providers are fetched from a mirror or not at all; more than this is a mirror that is away.
    pub init: Duration,
    /// Until it is known what is to be done.
    pub plan: Duration,
    /// Terraform itself reports each 10 s on what it waits for: six times nothing is worth a word.
    pub silence: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let [init, plan, silence] = [300, 120, 60].map(Duration::from_secs);
        Self { init, plan, silence }
    }
}

pub struct TerraformCli {
    options: TerraformOptions,
    programs: Arc<dyn Programs>,
    copies: Arc<dyn StateCopies>,
    places: Places,
    times: Option<Arc<dyn LabTimes>>,
    shared: Option<Shared>,
}

impl TerraformCli {
    pub fn new(options: TerraformOptions, programs: Arc<dyn Programs>, copies: Arc<dyn StateCopies>) -> Self {
        let places = Places::new(options.at_once, options.places_dir.clone());
        Self { options, programs, copies, places, times: None, shared: None }
    }

    /// Tells how far a command is by how long earlier ones took, and keeps how long it took.
    pub fn with_times(self, times: Arc<dyn LabTimes>) -> Self {
        Self { times: Some(times), ..self }
    }

    /// Shares what `init` gets for a version of a lab between its sessions, below this directory.
    pub fn sharing_init(self, root: PathBuf) -> Self {
        Self { shared: Some(Shared::new(root)), ..self }
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
}

#[async_trait]
impl Terraform for TerraformCli {
    async fn apply(
        &self,
        job: &TerraformJob,
        watch: &dyn TerraformWatch,
        cancel: &CancelSignal,
    ) -> Answer<Value> {
        let place = Place::of(job);
        if let Err(error) = self.copies.ready() {
            return Err(refuse(&place, &error.public));
        }
        prepare(&place)?;
        self.end_earlier(Command::Destroy, job, watch, cancel).await;
        // Killed together with its wrapper; what it left is ended, and what it had begun is noted.
        if self.programs.inspect(&place.record(Command::Apply)) == ChildState::Lost {
            self.end_earlier(Command::Apply, job, watch, cancel).await;
        }
        if let Some(doubt) = Doubt::of(&place) {
            self.reconcile(job, watch, cancel).await?;
            let doubt = doubt.compared(&place);
            if doubt.forbids_apply() {
                return Err(doubt.end());
            }
            watch.line("Nothing was being made when Terraform was cut short: it goes on from its state.");
        }
        let ran = self.command(Command::Apply, job, watch, cancel).await?;
        judge(&place, &ran)?;
        Doubt::settle(&place);
        place.forget_percent(Command::Apply);
        self.keep_times(Command::Apply, job, &ran).await;
        watch.progress(100, "Ready");
        Ok(ran.stream.outputs())
    }

    async fn destroy(
        &self,
        job: &TerraformJob,
        watch: &dyn TerraformWatch,
        cancel: &CancelSignal,
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
        let at_once = CancelSignal::new();
        at_once.cancel();
        self.end_earlier(Command::Apply, job, watch, &at_once).await;
        place.forget_percent(Command::Apply);
        match self.programs.inspect(&place.record(Command::Destroy)) {
            ChildState::Running | ChildState::Exited(_) => {}
            // A destroy makes nothing, so another one after it does no harm.
            ChildState::Lost => self.end_earlier(Command::Destroy, job, watch, cancel).await,
            ChildState::NeverStarted if self.settle_state(job, &place).await? > 0 => {}
            ChildState::NeverStarted => {
                give_up_doubt(&place, job, watch);
                place.untouch();
                watch.progress(100, "There is nothing to take down");
                return Ok(());
            }
        }
        // One that still runs is followed; before any other, what is there is looked at.
        if let Some(doubt) = Doubt::of(&place)
            && !place.record(Command::Destroy).exists()
        {
            doubt.compared(&place);
            match self.reconcile(job, watch, cancel).await {
                Ok(()) => {}
                Err(end @ TerraformEnd::Stopped { .. }) => return Err(end),
                // A destroy refreshes too, and says better what is wrong.
                Err(_) => watch.line("What is there could not be looked at before it is taken down."),
            }
        }
        let ran = self.command(Command::Destroy, job, watch, cancel).await?;
        judge(&place, &ran)?;
        give_up_doubt(&place, job, watch);
        self.keep_times(Command::Destroy, job, &ran).await;
        place.forget_percent(Command::Destroy);
        place.untouch();
        watch.progress(100, "All taken down");
        Ok(())
    }
}

impl TerraformCli {
    /// Looks at what became of the objects in the state, and tells what is different; nothing is changed.
    async fn reconcile(
        &self,
        job: &TerraformJob,
        watch: &dyn TerraformWatch,
        cancel: &CancelSignal,
    ) -> Answer<()> {
        watch.line("Terraform was cut short before: looking at what is there.");
        let ran = self.command(Command::Reconcile, job, watch, cancel).await?;
        match ran.exit.code {
            // 2: something is not as it was left.
            Some(0 | 2) => Ok(()),
            _ => judge(&Place::of(job), &ran),
        }
    }
}

/// All that the state knows is taken down. What it never knew is somebody else's to look for: it is told by name.
fn give_up_doubt(place: &Place, job: &TerraformJob, watch: &dyn TerraformWatch) {
    let Some(doubt) = Doubt::of(place) else { return };
    if !doubt.in_flight.is_empty() {
        log::warn!("session={} cut short in the middle of: {}", job.session, doubt.names());
        watch.line(&format!(
            "All that is known is taken down. Terraform was cut short while it worked on {}: an operator may look whether \
             something of it is left.",
            doubt.names()
        ));
    }
    Doubt::settle(place);
}

fn prepare(place: &Place) -> Answer<()> {
    place.prepare().map_err(|error| {
        log::error!("a session's directory cannot be used: {error}");
        refuse(place, "The session's directory cannot be used.")
    })
}
