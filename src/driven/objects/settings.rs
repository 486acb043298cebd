//! Which store, by its address.

use std::path::PathBuf;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, RetryConfig};

use super::StoredObjects;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For one try.
const TRY_TIMEOUT: Duration = Duration::from_secs(20);
/// A step that fails is tried again later, and says so; here only what is over in a moment is waited for.
const RETRIES: usize = 2;

/// As configured.
pub struct ObjectsSettings {
    /// `file:///FOLDER` or `s3://BUCKET/PREFIX`.
    pub url: String,
    /// Of an S3 server that is not Amazon's.
    pub endpoint: Option<String>,
    pub region: String,
    /// Access key and secret key; none: those of the machine's role.
    pub keys: Option<(String, String)>,
}

/// Connects to nothing yet. A folder is made if it is missing. The error is one sentence.
pub fn open(settings: &ObjectsSettings) -> Result<StoredObjects, String> {
    if let Some(folder) = settings.url.strip_prefix("file://") {
        return folder_at(PathBuf::from(folder));
    }
    let wrong = || "objects.url must be file:///FOLDER or s3://BUCKET/PREFIX.".to_owned();
    let place = settings.url.strip_prefix("s3://").ok_or_else(wrong)?;
    let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
    if bucket.is_empty() {
        return Err(wrong());
    }
    let client = ClientOptions::new().with_connect_timeout(CONNECT_TIMEOUT).with_timeout(TRY_TIMEOUT);
    let retry = RetryConfig {
        max_retries: RETRIES,
        retry_timeout: TRY_TIMEOUT,
        backoff: BackoffConfig { max_backoff: Duration::from_secs(1), ..BackoffConfig::default() },
    };
    let plain = settings.endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with("http://"));
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(&settings.region)
        .with_client_options(client.with_allow_http(plain))
        .with_retry(retry);
    if let Some(endpoint) = &settings.endpoint {
        builder = builder.with_endpoint(endpoint.trim_end_matches('/'));
    }
    if let Some((access, secret)) = &settings.keys {
        builder = builder.with_access_key_id(access).with_secret_access_key(secret);
    }
    let store = builder.build().map_err(|error| format!("objects.url cannot be used: {error}."))?;
    let prefix = Path::parse(prefix).map_err(|_| wrong())?;
    Ok(StoredObjects { store: Box::new(store), prefix, root: None })
}

fn folder_at(folder: PathBuf) -> Result<StoredObjects, String> {
    if !folder.is_absolute() {
        return Err("objects.url must name an absolute folder: file:///FOLDER.".to_owned());
    }
    let made = std::fs::create_dir_all(&folder);
    made.map_err(|error| format!("the folder of objects.url cannot be made: {error}."))?;
    let store = LocalFileSystem::new_with_prefix(&folder)
        .map_err(|error| format!("the folder of objects.url cannot be used: {error}."))?;
    Ok(StoredObjects { store: Box::new(store), prefix: Path::default(), root: Some(folder) })
}
