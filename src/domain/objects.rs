//! Files elsewhere: a folder, or a bucket of S3.

use std::ops::Range;

use async_trait::async_trait;

use crate::Result;

/// One version of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Below the store's root, parts separated by `/`.
    pub path: String,
    /// Another content has another one; the store's own words.
    pub etag: String,
    pub size_bytes: u64,
}

/// Where files are.
///
/// An implementer guarantees: what `read` answers is of the object's very version; no call goes on for ever.
#[async_trait]
pub trait Objects: Send + Sync {
    /// Every object whose path begins with the folder's, in the order of their paths; an absent folder has none.
    async fn list(&self, folder: &str) -> Result<Vec<Object>>;

    /// The object's bytes of the range, which lies within it. `objects.changed` when another version is there
    /// by now, `objects.gone` when none is; `Unavailable` when the store is away.
    async fn read(&self, object: &Object, range: Range<u64>) -> Result<Vec<u8>>;

    /// Whether the store answers.
    async fn ping(&self) -> Result<()>;
}
