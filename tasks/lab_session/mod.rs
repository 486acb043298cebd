//! What the tasks of a lab share: the caller's live session, its directory, and Terraform's words as a task's.

pub mod machines;
pub mod secrets;
pub mod variables;
pub mod watching;

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use flow_domain::SessionId;
use flow_domain::flows::OrStop;
use flow_domain::flows::secret::Given;
use flow_domain::flows::{Context, Policy, Stop};
use flow_domain::labs::machines::MachinesAtWork;
use flow_domain::labs::{Lab, LabVersion, Session, SessionStatus};
use flow_domain::ports::{TerraformEnd, TerraformJob, TerraformWatch};

use variables::{Variables, with_variables};
use watching::Watching;

/// A cancelled Terraform finishes the machines it is making: longer than any of them takes, since one that is
/// killed in the middle is lost from the state.
pub const TERRAFORM_GRACE: Duration = Duration::from_secs(600);
/// A destroy has no limit of its lab's own: half a machine left standing helps nobody.
const DESTROY_TIMEOUT: Duration = Duration::from_secs(3600);

/// In the service's own folder of a session's directory.
const VARIABLES: &str = "variables.json";
/// Whose directory it is. One without this, of a release that wrote none, is its live session's.
const SESSION: &str = "session";

/// The lab's own timeout ends Terraform long before this one does.
pub fn terraform_policy() -> Policy {
    Policy {
        timeout: Duration::from_secs(7200),
        backoff: Duration::from_secs(5),
        // The kill after Terraform's grace takes a moment.
        grace: TERRAFORM_GRACE + Duration::from_secs(20),
        ..Policy::default()
    }
}

pub fn lab(ctx: &Context, name: &str) -> Result<Arc<Lab>, Stop> {
    ctx.ports.labs.lab(name).ok_or_else(|| Stop::fail_clean("lab.unknown", "There is no lab of this name."))
}

/// The caller's live session of this lab; with `wanted`, or with a session named in the run's own input, only if it
/// is that one: a run that waited for its turn must not touch a later session.
pub async fn live(ctx: &Context, lab: &str, wanted: Option<SessionId>) -> Result<Option<Session>, Stop> {
    let session = any_live(ctx, lab).await?;
    let wanted = wanted.or_else(|| named(ctx));
    Ok(session.filter(|session| wanted.is_none_or(|id| session.id == id)))
}

/// The caller's live session of this lab, whichever it is.
pub async fn any_live(ctx: &Context, lab: &str) -> Result<Option<Session>, Stop> {
    Ok(ctx.ports.sessions.live(ctx.caller.id, lab).await?)
}

/// The session that the run's input names.
pub fn named(ctx: &Context) -> Option<SessionId> {
    ctx.run_input.get("session").and_then(|id| SessionId::parse(id.as_str()?))
}

pub async fn open(ctx: &Context, lab: &str, wanted: Option<SessionId>) -> Result<Session, Stop> {
    let none = || Stop::fail_clean("session.none", "You have no open session of this lab.");
    live(ctx, lab, wanted).await?.ok_or_else(none)
}

/// The session's directory, made if it is missing, with the lab's files as they were when the session began: later
/// changes of the lab's folder are for later sessions, and what an earlier one left is not for this one.
pub async fn directory(ctx: &Context, session: &Session) -> Result<PathBuf, Stop> {
    let (lab, workspaces) = (&session.lab, &ctx.ports.workspaces);
    let (mut dir, _) = workspaces.create(ctx.caller.id, lab).await?;
    let earlier = fs::read_to_string(dir.join(".flow").join(SESSION)).ok();
    if earlier.is_some_and(|earlier| earlier != session.id.to_string()) {
        workspaces.remove(ctx.caller.id, lab).await?;
        (dir, _) = workspaces.create(ctx.caller.id, lab).await?;
    }
    let own = own_folder(&dir).fatal("session.directory_unusable")?;
    fs::write(own.join(SESSION), session.id.to_string()).fatal("session.directory_unusable")?;
    let mark = own.join("lab-version");
    if let (false, Some(lab)) = (mark.exists(), ctx.ports.labs.lab(lab)) {
        workspaces.fill(ctx.caller.id, &lab.name, &lab.dir).await?;
        let variables = serde_json::to_vec(&lab.variables).fatal("session.directory_unusable")?;
        fs::write(own.join(VARIABLES), variables).fatal("session.directory_unusable")?;
        secrets::note(&own, &lab).fatal("session.directory_unusable")?;
        fs::write(&mark, &lab.version).fatal("session.directory_unusable")?;
    }
    Ok(dir)
}

/// The part of a session's directory that is the service's, not the lab's.
pub fn own_folder(dir: &Path) -> io::Result<PathBuf> {
    let own = dir.join(".flow");
    private_folder(&own)?;
    Ok(own)
}

pub fn private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// What Terraform is to work on. The lab declares those of the variables that it uses.
pub fn job(session: &Session, dir: PathBuf, timeout: Duration) -> Result<TerraformJob, Stop> {
    let variables = [
        ("session", session.id.to_string()),
        ("learner", session.user.to_string()),
        ("lab", session.lab.clone()),
    ];
    let own = variables.into_iter().map(|(name, value)| (name.to_owned(), value));
    // The service's own win: a lab cannot call itself another session.
    let mut variables = of_lab(&dir).fatal("session.directory_unusable")?;
    variables.extend(own);
    let of = LabVersion { lab: session.lab.clone(), version: session.lab_version.clone() };
    Ok(TerraformJob { session: session.id, of: Some(of), dir, variables, timeout, grace: TERRAFORM_GRACE })
}

/// The lab's variables as they were when the session began.
fn of_lab(dir: &Path) -> io::Result<BTreeMap<String, String>> {
    match fs::read(own_folder(dir)?.join(VARIABLES)) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(error),
    }
}

/// Takes down what Terraform made for the caller's live session; the session, if there was one. Done again, it does
/// nothing. A session of which something may be left is dirty, and stays open to be finished.
pub async fn take_down(
    ctx: &Context,
    lab: &str,
    wanted: Option<SessionId>,
    more: Variables,
) -> Result<Option<SessionId>, Stop> {
    let Some(session) = live(ctx, lab, wanted).await? else { return Ok(None) };
    let sessions = &ctx.ports.sessions;
    sessions.add_run(session.id, ctx.run).await?;
    let dir = directory(ctx, &session).await?;
    sessions.set_status(session.id, SessionStatus::Finishing, None).await?;
    let job = with_variables(job(&session, dir, DESTROY_TIMEOUT)?, more)?;
    let (job, mut given) = secrets::give(ctx, job).await?;
    let (job, vmids) = machines::again(ctx, job, &mut given).await?;
    let watch = Reporting { ctx, given, machines: Watching::of(&job, vmids) };
    let destroyed = watch.during(ctx.ports.terraform.destroy(&job, &watch, &ctx.cancel)).await;
    match destroyed.map_err(|end| watch.clean(end)) {
        Ok(()) => Ok(Some(session.id)),
        Err(end) => {
            sessions.set_status(session.id, SessionStatus::Dirty, None).await?;
            Err(match end {
                TerraformEnd::Untouched(why) | TerraformEnd::Failed(why) => {
                    Stop::retry("terraform.failed", why)
                }
                TerraformEnd::Killed(why) => Stop::retry("terraform.killed", why),
                TerraformEnd::Stopped { timed_out: true } => {
                    Stop::retry("terraform.timed_out", "Terraform took too long to take the lab down.")
                }
                TerraformEnd::Stopped { timed_out: false } => {
                    Stop::fail("terraform.stopped", "Terraform was stopped while it took the lab down.")
                }
            })
        }
    }
}

/// Passes on what Terraform reports, and what the cluster does for it, without the secrets it was given.
pub struct Reporting<'a> {
    pub ctx: &'a Context,
    pub given: Given,
    pub machines: Watching,
}

impl Reporting<'_> {
    /// Terraform's work, with its machines watched.
    pub async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        self.machines.during(self.ctx, &self.given, work).await
    }

    /// How it ended, as it may be told.
    pub fn clean(&self, end: TerraformEnd) -> TerraformEnd {
        match end {
            TerraformEnd::Untouched(why) => TerraformEnd::Untouched(self.given.scrub(&why)),
            TerraformEnd::Failed(why) => TerraformEnd::Failed(self.given.scrub(&self.with_faults(why))),
            TerraformEnd::Killed(why) => TerraformEnd::Killed(self.given.scrub(&self.with_faults(why))),
            stopped @ TerraformEnd::Stopped { .. } => stopped,
        }
    }

    fn with_faults(&self, why: String) -> String {
        match self.machines.faults().as_slice() {
            [] => why,
            faults => format!("{why} Proxmox VE says: {}.", faults.join("; ").trim_end_matches('.')),
        }
    }
}

impl TerraformWatch for Reporting<'_> {
    fn progress(&self, percent: u8, message: &str) {
        self.ctx.progress(percent, &self.given.scrub(message));
    }

    fn line(&self, line: &str) {
        self.ctx.line(&self.given.scrub(line));
    }

    fn machines(&self) -> MachinesAtWork {
        self.machines.now()
    }
}
