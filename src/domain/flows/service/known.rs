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
}
