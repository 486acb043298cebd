//! What the ingest's tasks do: find, load, watch.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::dataset::{BadRows, Dataset, unknown};
use super::scan::scan;
use super::{ChunkRef, IngestStore, Loaded, NewFile, Progress, RejectedFile, Standing};
use crate::objects::Objects;
use crate::{CancelSignal, Error, Kind, Result, RunId};

/// Datasets by name, where their files are and where their rows go.
pub struct Ingest {
    pub datasets: BTreeMap<String, Arc<Dataset>>,
    pub objects: Arc<dyn Objects>,
    pub store: Arc<dyn IngestStore>,
    /// A chunk ends with the record that reaches this.
    pub chunk_bytes: u64,
}

/// What a scan found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Files of the dataset that are there.
    pub files: u64,
    /// Those that this scan registered.
    pub new: u64,
    /// Those that changed or went away while they were read: the next scan finds them as they are.
    pub unsteady: u64,
}

impl Ingest {
    pub fn dataset(&self, name: &str) -> Result<&Arc<Dataset>> {
        self.datasets.get(name).ok_or_else(|| unknown(name))
    }

    /// Looks through the files that nobody has looked through. `heard` is told how many of how many are done. Begun
    /// again it goes on with those that are left.
    pub async fn scan(
        &self,
        run: RunId,
        name: &str,
        bad_rows: Option<BadRows>,
        cancel: &CancelSignal,
        heard: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<Found> {
        let dataset = self.dataset(name)?;
        let mut objects = self.objects.list(&dataset.folder).await?;
        objects.retain(|object| object.path.ends_with(&dataset.suffix));
        let mut found = Found { files: objects.len() as u64, ..Found::default() };
        let unknown = self.store.unknown(name, objects).await?;
        let bad_rows = bad_rows.unwrap_or(dataset.bad_rows);
        for (at, object) in unknown.iter().enumerate() {
            if cancel.is_cancelled() {
                break;
            }
            heard(at, unknown.len());
            match scan(dataset, bad_rows, &*self.objects, object, self.chunk_bytes).await {
                Ok(scanned) => {
                    let file = NewFile { dataset: name, object, run, scanned: &scanned, publish: true };
                    found.new += u64::from(self.store.register(file).await?.is_some());
                }
                Err(error) if error.code == "objects.changed" || error.code == "objects.gone" => {
                    found.unsteady += 1;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    /// Finds and loads what is new, here and now, without a run and without the queue: for a few small files.
    pub async fn load_here(&self, name: &str) -> Result<()> {
        let (dataset, run) = (self.dataset(name)?, RunId::new());
        let objects = self.objects.list(&dataset.folder).await?;
        for object in &self.store.unknown(name, objects).await? {
            let scanned = scan(dataset, dataset.bad_rows, &*self.objects, object, self.chunk_bytes).await?;
            let file = NewFile { dataset: name, object, run, scanned: &scanned, publish: false };
            let Some(file) = self.store.register(file).await? else { continue };
            for chunk in &scanned.chunks {
                self.load(run, ChunkRef { file, number: chunk.number }).await?;
            }
        }
        Ok(())
    }

    /// Loads one chunk, once however often it is asked for; none: there was nothing to do.
    pub async fn load(&self, run: RunId, chunk: ChunkRef) -> Result<Option<Loaded>> {
        let job = self.store.begin(chunk, run).await?;
        let job = job.ok_or_else(|| Error::not_found("ingest.chunk_unknown", "There is no such chunk."))?;
        if job.standing != Standing::Waiting {
            return Ok(None);
        }
        let loaded = async {
            let dataset = self.dataset(&job.dataset)?;
            let bytes = self.objects.read(&job.object, job.start..job.end).await?;
            self.store.load(dataset, &job, bytes).await
        };
        match loaded.await {
            // The next scan finds it as it is by now.
            Err(error) if error.code == "objects.changed" => {
                self.store.give_up(chunk, Standing::Superseded, &error.public).await?;
                Ok(None)
            }
            Err(error) if !matches!(error.kind, Kind::Unavailable | Kind::TooMany) => {
                let reason = format!("{}: {}", error.code, error.public);
                self.store.give_up(chunk, Standing::Failed, &reason).await?;
                Err(error)
            }
            ended => ended,
        }
    }

    pub async fn progress(&self, run: RunId) -> Result<Progress> {
        self.store.progress(run).await
    }

    pub async fn rejected(&self, run: RunId, at_most: i64) -> Result<Vec<RejectedFile>> {
        self.store.rejected(run, at_most).await
    }
}
