//! Files in a folder or in a bucket of S3, by one crate that speaks to both.

mod settings;

use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use flow_domain::objects::{Object, Objects};
use flow_domain::{Error, Kind, Result};
use futures_util::TryStreamExt;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore};

pub use settings::{ObjectsSettings, open};

/// For one call, all tries and the whole answer included.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// For a sign of life.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

pub struct StoredObjects {
    store: Box<dyn ObjectStore>,
    /// What all paths begin with, in the store.
    prefix: Path,
    /// Where files are on this machine.
    root: Option<PathBuf>,
}

#[async_trait]
impl Objects for StoredObjects {
    async fn list(&self, folder: &str) -> Result<Vec<Object>> {
        self.stands().await?;
        let folder = self.whole(folder)?;
        let listed = self.store.list(Some(&folder)).try_collect::<Vec<_>>();
        let listed = in_time(CALL_TIMEOUT, listed).await?;
        let mut objects: Vec<Object> = listed.into_iter().filter_map(|meta| self.object(meta)).collect();
        objects.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(objects)
    }

    async fn read(&self, object: &Object, range: Range<u64>) -> Result<Vec<u8>> {
        self.stands().await?;
        let path = self.whole(&object.path)?;
        let read = async {
            let got = self.store.get_opts(&path, options(object, range)).await?;
            // Not every server heeds the condition.
            if etag(&got.meta) != object.etag {
                return Ok(None);
            }
            got.bytes().await.map(Some)
        };
        let bytes = in_time(CALL_TIMEOUT, read).await?;
        bytes.map(Vec::from).ok_or_else(changed)
    }

    async fn ping(&self) -> Result<()> {
        self.stands().await?;
        let one = self.store.list(Some(&self.prefix));
        let first = async { std::pin::pin!(one).try_next().await };
        in_time(PING_TIMEOUT, first).await.map(drop)
    }
}

impl StoredObjects {
    /// A folder that is gone, such as one that is not mounted, would look like one without files.
    async fn stands(&self) -> Result<()> {
        let Some(root) = &self.root else { return Ok(()) };
        tokio::fs::read_dir(root).await.map(drop).map_err(away)
    }

    fn whole(&self, path: &str) -> Result<Path> {
        let whole = format!("{}/{path}", self.prefix);
        Path::parse(whole.trim_matches('/')).map_err(|error| {
            Error::invalid("objects.path_invalid", "No file can have this path.", vec![]).because(error)
        })
    }

    /// None for what is above the prefix.
    fn object(&self, meta: ObjectMeta) -> Option<Object> {
        let path = meta.location.as_ref().strip_prefix(self.prefix.as_ref())?.trim_start_matches('/');
        Some(Object { path: path.to_owned(), etag: etag(&meta), size_bytes: meta.size })
    }
}

fn options(object: &Object, range: Range<u64>) -> GetOptions {
    let range = Some(GetRange::Bounded(range));
    GetOptions { range, if_match: Some(object.etag.clone()), ..GetOptions::default() }
}

fn etag(meta: &ObjectMeta) -> String {
    meta.e_tag.clone().unwrap_or_else(|| meta.last_modified.to_rfc3339())
}

async fn in_time<T>(limit: Duration, call: impl Future<Output = object_store::Result<T>>) -> Result<T> {
    match tokio::time::timeout(limit, call).await {
        Ok(answer) => answer.map_err(translated),
        Err(_) => Err(away(format!("no answer within {} s", limit.as_secs()))),
    }
}

fn translated(error: object_store::Error) -> Error {
    use object_store::Error as Cause;
    match error {
        // The crate (0.13) gives names only to what single files answer, and tells the status of a list in words.
        Cause::Generic { ref source, .. } if has_status(&**source, &["404"]) => gone(error),
        Cause::Generic { ref source, .. } if has_status(&**source, &["400", "401", "403"]) => denied(error),
        Cause::NotFound { .. } => gone(error),
        Cause::Precondition { .. } => changed(),
        Cause::PermissionDenied { .. } | Cause::Unauthenticated { .. } => denied(error),
        other => away(other),
    }
}

/// Whether the error or one that it came from tells one of these.
fn has_status(error: &(dyn std::error::Error + 'static), statuses: &[&str]) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(|error| {
        let text = error.to_string();
        statuses.iter().any(|status| text.contains(&format!("status code: {status}")))
    })
}

fn gone(cause: object_store::Error) -> Error {
    let sentence = "The file, or the bucket it is in, is not there.";
    Error::not_found("objects.gone", sentence).because(cause)
}

fn denied(cause: object_store::Error) -> Error {
    let sentence = "The store of files does not let this service in: its key, or what the key may do.";
    Error::new(Kind::Forbidden, "objects.denied", sentence).because(cause)
}

fn away(cause: impl std::fmt::Display) -> Error {
    Error::unavailable("objects.unavailable", "The store of files is away; try again shortly.").because(cause)
}

fn changed() -> Error {
    Error::conflict("objects.changed", "Another version of the file is there by now.")
}
