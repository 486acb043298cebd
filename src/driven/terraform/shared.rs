//! What `init` got for a version of a lab, shared by all of its sessions.
//!
//! One session at a time runs `init` for a version, in its own directory, and a copy of what it got is moved here in
//! one step. Later sessions copy the modules and link the providers. What is damaged is never used: its session runs
//! an `init` of its own.
//!
//! | name | what it is |
//! | --- | --- |
//! | `KEY/terraform`, `KEY/lock.hcl` | `.terraform` and `.terraform.lock.hcl` of a directory that was set up |
//! | `KEY/seal` | what both looked like |
//! | `KEY/used` | touched by each session that took it |
//! | `KEY.lock` | held by whoever sets up |
//! | `KEY.new` | being copied |

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use flow_domain::labs::LabVersion;
use rustix::fs::{FlockOperation, flock};
use sha2::{Digest, Sha256};

use crate::driven::process::record::{private_dir, write_atomically};

/// What nobody took for this long may go: sessions that still link to it would set themselves up again.
const UNUSED: Duration = Duration::from_secs(60 * 24 * 3600);
/// `.terraform/providers/HOST/NAMESPACE/TYPE/VERSION/PLATFORM` is one whole, which may be a link: so deep it lies.
const PLATFORM_DEPTH: usize = 5;
const PROVIDERS: &str = "providers";

pub struct Shared {
    root: PathBuf,
}

/// Held by who sets up a version, until dropped or the process ends.
pub struct Turn {
    _file: File,
}

impl Shared {
    /// Removes what a process left that died while it copied, and what was not used for long.
    pub fn new(root: PathBuf) -> Self {
        let shared = Self { root };
        for entry in fs::read_dir(&shared.root).into_iter().flatten().flatten() {
            let path = entry.path();
            let Some(key) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
            if path.is_dir()
                && (path.extension().is_some() || unused(&path))
                && let Ok(Some(_turn)) = shared.try_turn(key)
                && let Err(error) = remove(&path)
            {
                log::warn!("{} is left: {error}", path.display());
            }
        }
        shared
    }

    /// Another Terraform may want other files.
    pub fn key(of: &LabVersion, binary: &Path) -> String {
        let binary = fs::canonicalize(binary).unwrap_or_else(|_| binary.to_owned());
        let stamp = fs::metadata(&binary).map(|it| (it.len(), it.mtime())).unwrap_or_default();
        let program = Sha256::digest(format!("{} {stamp:?}", binary.display()));
        format!("{}-{}-{}", of.lab, of.version, flow_domain::hex(&program[..6]))
    }

    /// Gives the session's directory what is here. `false`: there is nothing, or nothing that can be used.
    pub fn adopt(&self, key: &str, dir: &Path) -> bool {
        let from = self.root.join(key);
        let adopted = self.is_whole(key).and_then(|whole| {
            if whole {
                copy(&from.join("terraform"), &dir.join(".terraform"), 0, true)?;
                copy_lock(&from.join("lock.hcl"), &dir.join(".terraform.lock.hcl"))?;
                fs::write(from.join("used"), "")?;
            }
            Ok(whole)
        });
        adopted.unwrap_or_else(|error| {
            log::warn!("{} is not used: {error}", from.display());
            let _ = fs::remove_dir_all(dir.join(".terraform"));
            false
        })
    }

    /// Whether it is here as it was put here.
    pub fn is_whole(&self, key: &str) -> io::Result<bool> {
        let from = self.root.join(key);
        match fs::read_to_string(from.join("seal")) {
            Ok(kept) => Ok(kept == seal(&from)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The turn to set up this version, unless somebody has it.
    pub fn try_turn(&self, key: &str) -> io::Result<Option<Turn>> {
        private_dir(&self.root)?;
        let path = self.root.join(format!("{key}.lock"));
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Turn { _file: file })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Puts a copy of what `init` got here, whole or not at all, in place of what is damaged.
    pub fn publish(&self, key: &str, dir: &Path, _turn: &Turn) -> io::Result<()> {
        let (new, there) = (self.root.join(format!("{key}.new")), self.root.join(key));
        remove(&new)?;
        private_dir(&new)?;
        copy(&dir.join(".terraform"), &new.join("terraform"), 0, false)?;
        copy_lock(&dir.join(".terraform.lock.hcl"), &new.join("lock.hcl"))?;
        write_atomically(&new.join("seal"), seal(&new)?.as_bytes())?;
        fs::write(new.join("used"), "")?;
        remove(&there)?;
        fs::rename(new, there)
    }

    /// Nobody is to take what was found not to work.
    pub fn discard(&self, key: &str, _turn: &Turn) {
        if let Err(error) = remove(&self.root.join(key)) {
            log::warn!("{key} is damaged and still there: {error}");
        }
    }
}

fn unused(dir: &Path) -> bool {
    let used = fs::metadata(dir.join("used")).and_then(|it| it.modified()).ok();
    used.and_then(|at| SystemTime::now().duration_since(at).ok()).is_none_or(|age| age > UNUSED)
}

fn remove(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Copies a tree, links as links; with `link`, a provider is one link to the place it is copied from.
fn copy(from: &Path, to: &Path, depth: usize, link: bool) -> io::Result<()> {
    private_dir(to)?;
    for (path, name) in entries(from)? {
        let (target, kind) = (to.join(&name), fs::symlink_metadata(&path)?.file_type());
        let provider = depth == PLATFORM_DEPTH && from.ancestors().nth(depth - 1).is_some_and(is_providers);
        if kind.is_symlink() {
            symlink(fs::read_link(&path)?, &target)?;
        } else if kind.is_dir() && link && provider {
            symlink(fs::canonicalize(&path)?, &target)?;
        } else if kind.is_dir() {
            copy(&path, &target, depth + 1, link)?;
        } else if kind.is_file() {
            fs::copy(&path, &target)?;
            File::open(&target)?.sync_all()?;
        }
    }
    Ok(())
}

fn is_providers(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == PROVIDERS)
}

/// A configuration without providers has none.
fn copy_lock(from: &Path, to: &Path) -> io::Result<()> {
    match fs::read(from) {
        Ok(bytes) => write_atomically(to, &bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Names, sizes and links of all files, and what is in them where Terraform itself does not look: it checks its
/// providers by the lock file.
fn seal(dir: &Path) -> io::Result<String> {
    let mut digest = Sha256::new();
    let lock = match fs::read(dir.join("lock.hcl")) {
        Ok(bytes) => Some(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    digest.update(format!("{lock:?}"));
    seal_tree(&dir.join("terraform"), true, &mut digest)?;
    Ok(flow_domain::hex(digest.finalize()))
}

fn seal_tree(dir: &Path, contents: bool, digest: &mut Sha256) -> io::Result<()> {
    for (path, name) in entries(dir)? {
        let metadata = fs::symlink_metadata(&path)?;
        digest.update(format!("{name:?} {:?} ", metadata.file_type()));
        if metadata.is_symlink() {
            digest.update(format!("{:?}", fs::read_link(&path)?));
        } else if metadata.is_dir() {
            seal_tree(&path, contents && !is_providers(&path), digest)?;
        } else {
            digest.update(metadata.len().to_be_bytes());
            if contents {
                digest.update(fs::read(&path)?);
            }
        }
        digest.update(b"\n");
    }
    Ok(())
}

/// In the order of their names.
fn entries(dir: &Path) -> io::Result<Vec<(PathBuf, std::ffi::OsString)>> {
    let entries = fs::read_dir(dir)?.map(|entry| entry.map(|entry| (entry.path(), entry.file_name())));
    let mut entries = entries.collect::<io::Result<Vec<_>>>()?;
    entries.sort();
    Ok(entries)
}
