//! How long commands take: asked before one, kept after one that went well.

use flow_domain::labs::{Pace, Work};
use flow_domain::ports::TerraformJob;

use super::TerraformCli;
use super::follow::Ran;
use super::place::Command;

impl TerraformCli {
    /// What is known of earlier runs. Without it the bar is coarser, and that is all.
    pub(super) async fn pace(&self, command: Command, job: &TerraformJob) -> Pace {
        let (Some(times), Some(of), Some(work)) = (&self.times, &job.of, work(command)) else {
            return Pace::default();
        };
        times.pace(of, work).await.unwrap_or_else(|error| {
            log::warn!("session={} earlier times not read: {error}", job.session);
            Pace::default()
        })
    }

    pub(super) async fn keep_times(&self, command: Command, job: &TerraformJob, ran: &Ran) {
        let (Some(times), Some(of), Some(work)) = (&self.times, &job.of, work(command)) else { return };
        // A second apply that found nothing to do says nothing about the first.
        let Some((took, objects)) = ran.stream.times().filter(|(_, objects)| !objects.is_empty()) else {
            return;
        };
        if let Err(error) = times.add(of, work, took, objects).await {
            log::warn!("session={} times not kept: {error}", job.session);
        }
    }
}

fn work(command: Command) -> Option<Work> {
    match command {
        Command::Apply => Some(Work::Apply),
        Command::Destroy => Some(Work::Destroy),
        Command::Init | Command::Reconcile => None,
    }
}
