//! Files of rows, from a folder or a bucket into tables: found, looked through, cut into chunks, loaded chunk by chunk.
//!
//! A file is known by its path, etag and size. Whoever registers a version first publishes its chunks, in the same
//! transaction; a newer version ends the older one. A chunk's message names its bytes and does not hold them: it is
//! read when it is loaded, and its rows and the mark that they are in are one commit.

mod consumer;
mod dataset;
mod records;
mod rows;
mod scan;
mod service;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::objects::Object;
use crate::{Result, RunId};

pub use consumer::StartChunks;
pub use dataset::{BadRows, Column, ColumnKind, Dataset, Encoding, OtherHeaders};
pub use records::MAX_RECORD_BYTES;
pub use rows::{Cell, Layout, RowFault, RowSink, read_rows};
pub use scan::{Chunk, Scanned, Skipped};
pub use service::{Found, Ingest};

/// The topic of chunks that wait to be loaded.
pub const CHUNK_FOUND: &str = "ingest.chunk_found";

/// Chunks that one process loads at once. Each is held in memory about three times over.
pub const LOADS_AT_ONCE: usize = 3;

/// A chunk, as its message says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ChunkRef {
    pub file: i64,
    pub number: i32,
}

/// A file that was looked through.
pub struct NewFile<'a> {
    pub dataset: &'a str,
    pub object: &'a Object,
    /// Whose scan it was.
    pub run: RunId,
    pub scanned: &'a Scanned,
    /// Whether others are to load its chunks: they are told.
    pub publish: bool,
}

/// What it takes to load a chunk.
#[derive(Clone, Debug)]
pub struct ChunkJob {
    pub chunk: ChunkRef,
    pub dataset: String,
    pub object: Object,
    pub headers: Vec<String>,
    pub start: u64,
    pub end: u64,
    pub line: u64,
    pub standing: Standing,
}

/// Where a chunk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Waiting,
    Loaded,
    /// A newer version of the file ended it.
    Superseded,
    Failed,
}

/// What loading a chunk did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Rows of the chunk that stand in the table, or did until a later row of their key came.
    pub rows: u64,
    /// Those of them that were new or another than before.
    pub changed: u64,
    /// Rows that did not fit, and were kept aside.
    pub skipped: u64,
}

/// How far the files are that one run registered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    pub files: u64,
    pub rejected: u64,
    pub superseded: u64,
    pub chunks: u64,
    pub chunks_loaded: u64,
    pub chunks_superseded: u64,
    /// Failed, or nobody loads them any more.
    pub chunks_failed: u64,
    /// In the files that were taken, those that do not fit included.
    pub rows_expected: u64,
    pub loaded: Loaded,
    /// Why the first of the failed chunks failed.
    pub reason: Option<String>,
    /// When the last chunk was loaded, or the last file registered.
    pub moved_at: Option<Timestamp>,
}

impl Progress {
    pub fn chunks_ended(&self) -> u64 {
        self.chunks_loaded + self.chunks_superseded + self.chunks_failed
    }

    /// 0 to 100.
    pub fn percent(&self) -> u8 {
        match (self.chunks_ended() * 100).checked_div(self.chunks) {
            None => 100,
            Some(percent) => u8::try_from(percent).unwrap_or(100),
        }
    }
}

/// A file of which nothing was loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedFile {
    pub path: String,
    /// The first of what is wrong with it.
    pub faults: Vec<RowFault>,
    /// In all.
    pub skipped: u64,
}

/// Keeps what is known of files, and their rows.
///
/// An implementer guarantees: one registration a version of a file, however many try at once; its chunks are published
/// if and only if it is committed; a chunk's rows, its skipped rows and the mark that it is loaded are one commit, and
/// of a superseded file none is committed.
#[async_trait]
pub trait IngestStore: Send + Sync {
    /// Of these objects those that no scan has registered yet.
    async fn unknown(&self, dataset: &str, objects: Vec<Object>) -> Result<Vec<Object>>;

    /// Stores what was found and publishes its chunks; answers the file's number. None: somebody else did.
    async fn register(&self, file: NewFile<'_>) -> Result<Option<i64>>;

    /// A chunk and who loads it from now on; none: there is no such chunk.
    async fn begin(&self, chunk: ChunkRef, run: RunId) -> Result<Option<ChunkJob>>;

    /// Loads the chunk's bytes. One that was loaded before, or superseded, is left as it is: none. `Invalid` when the
    /// table refuses the rows: trying again does not help.
    async fn load(&self, dataset: &Arc<Dataset>, job: &ChunkJob, bytes: Vec<u8>) -> Result<Option<Loaded>>;

    /// Gives up a chunk that waits: it failed, or a newer version of its file is there.
    async fn give_up(&self, chunk: ChunkRef, standing: Standing, reason: &str) -> Result<()>;

    /// Of the files that this run registered.
    async fn progress(&self, run: RunId) -> Result<Progress>;

    /// Of those files the rejected, by path.
    async fn rejected(&self, run: RunId, at_most: i64) -> Result<Vec<RejectedFile>>;
}
