//! Sets a session's directory up for Terraform: with what `init` got for another session of the same version of its
//! lab, or by an `init` of its own.

use std::path::Path;
use std::time::Duration;

use flow_domain::CancelSignal;
use flow_domain::ports::{ChildState, TerraformJob, TerraformWatch};
use tokio::time::{Instant, sleep};

use super::place::{Command, Place};
use super::shared::{Shared, Turn};
use super::stream::Stream;
use super::verdict::{init_failure, refuse, stopped};
use super::{Answer, TerraformCli};

/// Nobody waits longer than this for another session's `init`.
const TURN_WITHIN: Duration = Duration::from_secs(60);
const TURN_AGAIN: Duration = Duration::from_millis(50);

impl TerraformCli {
    /// What is shared for this job's version of its lab.
    fn shared_of(&self, job: &TerraformJob, binary: &Path) -> Option<(&Shared, String)> {
        let (shared, of) = (self.shared.as_ref()?, job.of.as_ref()?);
        Some((shared, Shared::key(of, binary)))
    }

    /// Gives a directory that was never set up what is shared, and sees an `init` to its end that outlived its
    /// service. `true`: it has what is shared.
    pub(super) async fn set_up_before(
        &self,
        binary: &Path,
        job: &TerraformJob,
        watch: &dyn TerraformWatch,
        cancel: &CancelSignal,
    ) -> Answer<bool> {
        let place = Place::of(job);
        match self.programs.inspect(&place.record(Command::Init)) {
            ChildState::Lost | ChildState::NeverStarted => place.forget(Command::Init),
            ChildState::Running | ChildState::Exited(_) => {
                self.set_up(binary, job, watch, cancel, false).await?;
                return Ok(false);
            }
        }
        let Some((shared, key)) = self.shared_of(job, binary) else { return Ok(false) };
        Ok(!place.data().exists() && shared.adopt(&key, place.dir()))
    }

    /// Runs `init`, or takes what another session got meanwhile; what this one gets is shared. `failed`: what is
    /// shared was taken, and does not do. `true`: the directory has what is shared.
    pub(super) async fn set_up(
        &self,
        binary: &Path,
        job: &TerraformJob,
        watch: &dyn TerraformWatch,
        cancel: &CancelSignal,
        failed: bool,
    ) -> Answer<bool> {
        let place = Place::of(job);
        let shared = self.shared_of(job, binary);
        let turn = match &shared {
            Some((shared, key)) => turn(shared, key, &place, watch, cancel).await?,
            None => None,
        };
        let own = self.programs.inspect(&place.record(Command::Init)) != ChildState::NeverStarted;
        if let (Some((shared, key)), Some(turn), false) = (&shared, &turn, own) {
            place.forget_data();
            if failed {
                log::warn!("session={} {key} does not do and is made anew", job.session);
                shared.discard(key, turn);
            } else if shared.adopt(key, place.dir()) {
                return Ok(true);
            }
        }
        watch.line("Terraform is being set up for this lab.");
        let init = self.follow(Command::Init, binary, job, watch, cancel, Stream::default()).await?;
        if init.exit.timed_out {
            return Err(refuse(&place, "Terraform took too long to fetch what this lab needs."));
        }
        if init.exit.code != Some(0) {
            return Err(stopped(&init.exit).unwrap_or_else(|| refuse(&place, &init_failure(&init.exit))));
        }
        // What is made already may have changed the files that this was got for.
        if let (Some((shared, key)), Some(turn), false) = (&shared, &turn, place.is_touched())
            && !shared.is_whole(key).unwrap_or(false)
            && let Err(error) = shared.publish(key, place.dir(), turn)
        {
            log::warn!("session={} {key} is not shared: {error}", job.session);
        }
        Ok(false)
    }
}

/// Waits for who sets up the same version; none when that takes too long, or cannot be known.
async fn turn(
    shared: &Shared,
    key: &str,
    place: &Place,
    watch: &dyn TerraformWatch,
    cancel: &CancelSignal,
) -> Answer<Option<Turn>> {
    let (start, mut told) = (Instant::now(), false);
    loop {
        match shared.try_turn(key) {
            Ok(Some(turn)) => return Ok(Some(turn)),
            Ok(None) if start.elapsed() < TURN_WITHIN => {}
            Ok(None) => return Ok(None),
            Err(error) => {
                log::warn!("{key} cannot be shared: {error}");
                return Ok(None);
            }
        }
        if !std::mem::replace(&mut told, true) {
            watch.line("Another session of this lab is being set up; waiting for what it gets.");
        }
        tokio::select! {
            () = sleep(TURN_AGAIN) => {}
            () = cancel.cancelled() => return Err(refuse(place, "Cancelled before Terraform was started.")),
        }
    }
}
