//! Files of rows in memory: one dataset, `things`, with one file of two chunks.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use super::flow_store::effect;
use super::held;
use crate::ingest::{
    ChunkJob, ChunkRef, Dataset, Ingest, IngestStore, Loaded, NewFile, Progress, RejectedFile, Standing,
};
use crate::objects::{Object, Objects};
use crate::{Result, RunId};

const DATASET: &str = "description = \"things\"\ntable = \"thing\"\nfolder = \"things\"\nkey = [\"id\"]\n\
                       columns = [{ name = \"id\", type = \"integer\", required = true }]";
const FILE: &str = "id\n1\n2\n3\n4\n";
/// Of one chunk.
const CHUNK_BYTES: u64 = 4;

/// Its chunks are loaded by whoever asks for one, and one by others each time somebody asks how far it is.
#[derive(Default)]
pub struct MemoryIngest(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    files: Vec<(Object, RunId)>,
    chunks: BTreeMap<(i64, i32), (ChunkJob, Standing)>,
}

impl MemoryIngest {
    /// Everything that the ingest's tasks need, over this store.
    pub fn parts(self: &Arc<Self>) -> Ingest {
        let dataset = Dataset::read("things", DATASET).expect("it is written above");
        Ingest {
            datasets: BTreeMap::from([("things".to_owned(), Arc::new(dataset))]),
            objects: self.clone(),
            store: self.clone(),
            chunk_bytes: CHUNK_BYTES,
        }
    }

    pub fn files(&self) -> usize {
        held(&self.0).files.len()
    }

    pub fn chunks_loaded(&self) -> usize {
        held(&self.0).chunks.values().filter(|(_, standing)| *standing == Standing::Loaded).count()
    }
}

#[async_trait]
impl Objects for MemoryIngest {
    async fn list(&self, _: &str) -> Result<Vec<Object>> {
        let object = Object { path: "things/a.csv".into(), etag: "1".into(), size_bytes: FILE.len() as u64 };
        Ok(vec![object])
    }

    async fn read(&self, _: &Object, range: Range<u64>) -> Result<Vec<u8>> {
        Ok(FILE.as_bytes()[range.start as usize..range.end as usize].to_vec())
    }

    async fn ping(&self) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl IngestStore for MemoryIngest {
    async fn unknown(&self, _: &str, objects: Vec<Object>) -> Result<Vec<Object>> {
        let kept = held(&self.0);
        Ok(objects.into_iter().filter(|object| kept.files.iter().all(|(known, _)| known != object)).collect())
    }

    async fn register(&self, new: NewFile<'_>) -> Result<Option<i64>> {
        effect().await;
        let mut kept = held(&self.0);
        if kept.files.iter().any(|(known, _)| known == new.object) {
            return Ok(None);
        }
        kept.files.push((new.object.clone(), new.run));
        let file = kept.files.len() as i64;
        for chunk in &new.scanned.chunks {
            let job = ChunkJob {
                chunk: ChunkRef { file, number: chunk.number },
                dataset: new.dataset.to_owned(),
                object: new.object.clone(),
                headers: new.scanned.headers.clone(),
                start: chunk.start,
                end: chunk.end,
                line: chunk.line,
                standing: Standing::Waiting,
            };
            kept.chunks.insert((file, chunk.number), (job, Standing::Waiting));
        }
        Ok(Some(file))
    }

    async fn begin(&self, chunk: ChunkRef, _: RunId) -> Result<Option<ChunkJob>> {
        let kept = held(&self.0);
        let found = kept.chunks.get(&(chunk.file, chunk.number));
        Ok(found.map(|(job, standing)| ChunkJob { standing: *standing, ..job.clone() }))
    }

    async fn load(&self, _: &Arc<Dataset>, job: &ChunkJob, bytes: Vec<u8>) -> Result<Option<Loaded>> {
        effect().await;
        let mut kept = held(&self.0);
        let Some((_, standing)) = kept.chunks.get_mut(&(job.chunk.file, job.chunk.number)) else {
            return Ok(None);
        };
        if std::mem::replace(standing, Standing::Loaded) == Standing::Loaded {
            return Ok(None);
        }
        let rows = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count() as u64;
        Ok(Some(Loaded { rows, changed: rows, skipped: 0 }))
    }

    async fn give_up(&self, chunk: ChunkRef, to: Standing, _: &str) -> Result<()> {
        effect().await;
        if let Some((_, standing)) = held(&self.0).chunks.get_mut(&(chunk.file, chunk.number)) {
            *standing = to;
        }
        Ok(())
    }

    async fn progress(&self, run: RunId) -> Result<Progress> {
        let mut kept = held(&self.0);
        let files = kept.files.iter().filter(|(_, by)| *by == run).count() as u64;
        let chunks = if files == 0 { 0 } else { kept.chunks.len() as u64 };
        let loaded =
            kept.chunks.values().filter(|(_, standing)| *standing == Standing::Loaded).count() as u64;
        if let Some((_, waiting)) =
            kept.chunks.values_mut().find(|(_, standing)| *standing == Standing::Waiting)
        {
            *waiting = Standing::Loaded;
        }
        Ok(Progress { files, chunks, chunks_loaded: loaded.min(chunks), ..Progress::default() })
    }

    async fn rejected(&self, _: RunId, _: i64) -> Result<Vec<RejectedFile>> {
        Ok(Vec::new())
    }
}
