//! All that a service keeps, in one file: the database, learners' directories, objects, and the key that encrypts what
//! is secret in them, where the service made that key itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flow_domain::{Error, hex};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::database::Database;
use super::place::with_database;
use crate::config::Config;
use crate::driven::archive::{pack, unpack};
use crate::driven::postgres::dump;
use crate::driven::postgres::migrate::{MIGRATIONS, migrate_blocking};
use crate::driven::start_error::StartError;
use crate::driven::state_dir::{self, StateDir};

const FORMAT: u32 = 1;
const MANIFEST: &str = "manifest.json";
const DUMP: &str = "database.dump";
const KEY: &str = "state.key";
/// Of the state directory; the rest is the private database, or can be made anew.
const KEPT: [&str; 4] = ["host.id", "workspaces", "objects", "children"];

#[derive(Serialize, Deserialize)]
struct Manifest {
    format: u32,
    version: String,
    at: Timestamp,
    /// Tells whether a key is the one, and nothing else of it; none where nothing was encrypted.
    key_check: Option<String>,
    has_key: bool,
}

/// What was brought back.
pub struct Restored {
    pub at: Timestamp,
    /// What the operator must know still.
    pub note: Option<&'static str>,
}

/// How far it is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    pub doing: &'static str,
    pub done: u64,
    /// About; 0 when nobody knows.
    pub total: u64,
    pub of: Unit,
}

#[derive(Clone, Copy, Debug)]
pub enum Unit {
    Tables,
    Bytes,
}

/// Hears of each part before it begins, and then how far that is.
pub type Tell = Arc<dyn Fn(Progress) + Send + Sync>;

/// Writes the backup to `file`. The database is of one moment; files are read after it, as they are then.
pub fn backup(config: &Config, file: &Path, with_key: bool, tell: &Tell) -> Result<(), StartError> {
    if file.exists() {
        return Err(StartError::new(format!("{} is there already.", file.display())));
    }
    let state = config.state.dir.clone().unwrap_or_else(state_dir::default_path);
    let staging = beside(file, "parts")?;
    let done = write(config, file, &state, &staging, with_key, tell);
    let _ = fs::remove_dir_all(&staging);
    done
}

fn write(
    config: &Config,
    file: &Path,
    state: &Path,
    staging: &Path,
    with_key: bool,
    tell: &Tell,
) -> Result<(), StartError> {
    let (to, bin_dir) = (staging.join(DUMP), config.database.bin_dir.clone());
    with_database(config, async |database| {
        let total = dump::tables(database).await;
        let (database, to, tell) = (database.clone(), to.clone(), tell.clone());
        let tell =
            move |done| tell(Progress { doing: "dumping the database", done, total, of: Unit::Tables });
        tell(0);
        let dumped =
            tokio::task::spawn_blocking(move || dump::dump(&database, bin_dir.as_deref(), &to, &tell));
        dumped.await.map_err(Error::internal)?.map_err(|error| Error {
            public: error.sentence,
            cause: error.cause,
            ..Error::internal("")
        })
    })?;
    let own_key = fs::read_to_string(state.join(KEY)).ok();
    let has_key = with_key && own_key.is_some() && config.state.key.is_none();
    let manifest = Manifest {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        at: Timestamp::now(),
        key_check: key_check(config, own_key.as_deref()),
        has_key,
    };
    let text = serde_json::to_vec_pretty(&manifest).map_err(unwritten)?;
    fs::write(staging.join(MANIFEST), text).map_err(unwritten)?;
    let mut kept: Vec<String> =
        KEPT.iter().filter(|name| state.join(name).exists()).map(|name| (*name).to_owned()).collect();
    kept.extend(has_key.then(|| KEY.to_owned()));
    let mut folders = vec![(staging, vec![MANIFEST.to_owned(), DUMP.to_owned()])];
    if !kept.is_empty() {
        folders.push((state, kept));
    }
    let tell = |done, total| tell(Progress { doing: "packing", done, total, of: Unit::Bytes });
    pack(file, &folders, &tell)
}

/// Brings a backup back where there is nothing yet: neither in the state directory nor in the database.
pub fn restore(config: &Config, file: &Path, tell: &Tell) -> Result<Restored, StartError> {
    let state = StateDir::open(config.state.dir.as_deref())?;
    let home = state.path().to_owned();
    let there = KEPT.iter().chain(&[KEY, "postgres"]).find(|name| home.join(name).exists());
    if let Some(there) = there {
        let sentence =
            format!("{} has {there} already: a backup is brought back into an empty place.", home.display());
        return Err(StartError::new(sentence));
    }
    let staging = home.join("restore");
    fs::create_dir(&staging).map_err(unwritten)?;
    let done = bring_back(config, file, &state, &staging, tell);
    let _ = fs::remove_dir_all(&staging);
    done
}

fn bring_back(
    config: &Config,
    file: &Path,
    state: &StateDir,
    staging: &Path,
    tell: &Tell,
) -> Result<Restored, StartError> {
    let unpacking = |done, total| tell(Progress { doing: "unpacking", done, total, of: Unit::Bytes });
    unpack(file, staging, &unpacking)?;
    let no_backup = || StartError::new(format!("{} is no backup of this program.", file.display()));
    let manifest = fs::read(staging.join(MANIFEST)).map_err(|_| no_backup())?;
    let manifest: Manifest = serde_json::from_slice(&manifest).map_err(|_| no_backup())?;
    if manifest.format != FORMAT {
        let sentence = format!(
            "{} was written by version {}, which this one cannot read.",
            file.display(),
            manifest.version
        );
        return Err(StartError::new(sentence));
    }
    let own_key = fs::read_to_string(staging.join(KEY)).ok();
    let note = key_note(config, &manifest, own_key.as_deref())?;
    let database = Database::open(config, state)?;
    let filled = fill(config, &database, &staging.join(DUMP), tell);
    database.close()?;
    filled?;
    for name in KEPT.iter().chain(&[KEY]).filter(|name| staging.join(name).exists()) {
        fs::rename(staging.join(name), state.path().join(name)).map_err(unwritten)?;
    }
    Ok(Restored { at: manifest.at, note })
}

fn fill(config: &Config, database: &Database, from: &Path, tell: &Tell) -> Result<(), StartError> {
    if !dump::is_empty(&database.config)? {
        return Err(StartError::new(
            "The database has tables already: a backup is brought back into an empty one.",
        ));
    }
    let bin_dir = config.database.bin_dir.as_deref();
    let total = dump::tables_in(bin_dir, from);
    let filling = |done| tell(Progress { doing: "filling the database", done, total, of: Unit::Tables });
    filling(0);
    dump::restore(&database.config, bin_dir, from, &filling)?;
    let migrated = migrate_blocking(database.config.clone(), MIGRATIONS);
    migrated.map(drop).map_err(|error| StartError { sentence: error.public, cause: error.cause })
}

/// A key that does not fit is an error before anything was changed: what it should read would be lost.
fn key_note(
    config: &Config,
    manifest: &Manifest,
    own_key: Option<&str>,
) -> Result<Option<&'static str>, StartError> {
    let Some(check) = &manifest.key_check else { return Ok(None) };
    match key_check(config, own_key) {
        Some(ours) if ours == *check => Ok(None),
        Some(_) => Err(StartError::new("state.key is not the key of the service that was backed up.")),
        None => Ok(Some(
            "The backup has no key: Terraform state and OAuth tokens can be read again only with state.key set to \
             the key of the service that was backed up.",
        )),
    }
}

/// Of the key in use: the configured one, or the state directory's.
fn key_check(config: &Config, own: Option<&str>) -> Option<String> {
    let key = match &config.state.key {
        Some(key) => hex(key.bytes()),
        None => own?.trim().to_owned(),
    };
    Some(hex(&Sha256::digest(format!("flow-manager state key check {key}"))[..8]))
}

/// A folder of ours alone, beside the file: there is room for one, so there may be for the other.
fn beside(file: &Path, suffix: &str) -> Result<PathBuf, StartError> {
    use std::os::unix::fs::DirBuilderExt;
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{suffix}"));
    let folder = file.with_file_name(name);
    fs::DirBuilder::new().mode(0o700).create(&folder).map_err(unwritten)?;
    Ok(folder)
}

fn unwritten(error: impl std::fmt::Display) -> StartError {
    StartError::new("The backup's files cannot be written.").because(error)
}
