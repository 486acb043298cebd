//! Runs that another part of the service knows by their id.

use super::{Flows, Started};
use crate::flows::run::Run;
use crate::{Result, RunId};

impl Flows {
    /// A run that was started before, whoever asks, to be waited for like one that was asked for now.
    pub async fn started_before(&self, id: RunId) -> Result<Option<Started>> {
        let run = self.known_run(id).await?;
        Ok(run.map(|run| Started { watch: self.engine.live().watch(id), run, replayed: true }))
    }

    /// A run, whoever asks.
    pub async fn known_run(&self, id: RunId) -> Result<Option<Run>> {
        self.store.run(id).await
    }

    /// The machine that a run belongs to, or belonged to at its end; none when no process there takes such runs now.
    pub async fn home_of(&self, id: RunId) -> Result<Option<String>> {
        let Some(run) = self.known_run(id).await? else { return Ok(None) };
        match &run.head.host_id {
            Some(host) if self.store.standing(&run).await?.able_workers > 0 => Ok(Some(host.clone())),
            _ => Ok(None),
        }
    }
}
