//! The state directory: what one process keeps on its machine, and the lock that makes it one process.

mod keys;

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::Access;
use sha2::{Digest, Sha256};

use super::start_error::StartError;

/// An existing state directory, ours as long as this value lives. The kernel lets the lock go with the process,
/// however it ends.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    _lock: File,
}

impl StateDir {
    /// Makes the directory if it is missing and locks it; another service that holds it is an error.
    pub fn open(configured: Option<&Path>) -> Result<Self, StartError> {
        let wanted = configured.map_or_else(default_path, Path::to_path_buf);
        let failed = |error: std::io::Error| {
            StartError::new(format!("The state directory {} cannot be made or entered.", wanted.display()))
                .because(error)
        };
        make(&wanted).map_err(failed)?;
        let path = wanted.canonicalize().map_err(failed)?;
        if is_root() {
            let mode = fs::metadata(&path).map_err(failed)?.permissions().mode();
            // PostgreSQL runs as another user and must pass through to its own directory; it cannot list this one.
            fs::set_permissions(&path, Permissions::from_mode(mode & 0o7777 | 0o001)).map_err(failed)?;
        }
        let lock = lock(&path)?;
        Ok(Self { path, _lock: lock })
    }

    /// Absolute, without symbolic links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A directory below it for one purpose, 0700, made if it is missing.
    pub fn subdirectory(&self, name: &str) -> Result<PathBuf, StartError> {
        let path = self.path.join(name);
        match DirBuilder::new().recursive(true).mode(0o700).create(&path) {
            Ok(()) => Ok(path),
            Err(error) => {
                Err(StartError::new(format!("The directory {} cannot be made.", path.display()))
                    .because(error))
            }
        }
    }

    /// Names this directory among those of all machines, made at the first call: child processes and learners' files
    /// live below it, whatever the machine or container is called.
    pub fn host_id(&self) -> Result<String, StartError> {
        let id = keys::find_or_make(&self.path.join("host.id"))?;
        Ok(flow_domain::hex(&id[..16]))
    }

    /// The key that encrypts things at rest, made at the first call.
    pub fn state_key(&self) -> Result<[u8; 32], StartError> {
        keys::find_or_make(&self.path.join("state.key"))
    }

    /// What `open` would find, for people; nothing is made or changed.
    pub fn probe(configured: Option<&Path>) -> Result<String, StartError> {
        let path = configured.map_or_else(default_path, Path::to_path_buf);
        if path.is_dir() {
            return match lock_held_by(&path) {
                Some(holder) => Ok(format!("{}, in use by {holder}", path.display())),
                None => writable(&path).map(|()| path.display().to_string()),
            };
        }
        let there = path.ancestors().find(|parent| parent.is_dir()).unwrap_or(Path::new("."));
        writable(there).map(|()| format!("{}, to be made at the first start", path.display()))
    }
}

/// `.flow-manager` below the working directory. As root it must be where PostgreSQL's user can go, which a home
/// directory is not: `/var/lib/flow-manager`, with one directory per working directory.
pub fn default_path() -> PathBuf {
    if !is_root() {
        return PathBuf::from(".flow-manager");
    }
    let here = std::env::current_dir().unwrap_or_default();
    let hash = Sha256::digest(here.as_os_str().as_encoded_bytes());
    let name = flow_domain::hex(&hash[..6]);
    Path::new("/var/lib/flow-manager").join(name)
}

pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Makes what is missing. The permissions of what is there are its owner's business and stay.
fn make(path: &Path) -> std::io::Result<()> {
    if path.is_dir() || path.as_os_str().is_empty() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        make(parent)?;
    }
    let mode = if is_root() { 0o711 } else { 0o700 };
    match fs::create_dir(path) {
        // Set, not left to the umask: with 077 PostgreSQL's user could not pass.
        Ok(()) => fs::set_permissions(path, Permissions::from_mode(mode)),
        Err(_) if path.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

fn writable(dir: &Path) -> Result<(), StartError> {
    rustix::fs::access(dir, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| {
        StartError::new(format!("The state directory needs {} to be writable.", dir.display())).because(error)
    })
}

fn lock_held_by(dir: &Path) -> Option<String> {
    let mut file = File::open(dir.join("lock")).ok()?;
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)).then(|| holder(&mut file))
}

/// Who wrote the lock file last; as long as the lock is held, that is who holds it.
fn holder(file: &mut File) -> String {
    let mut pid = String::new();
    let _ = file.read_to_string(&mut pid);
    match pid.trim() {
        "" => "another service".to_owned(),
        pid => format!("another service (process {pid})"),
    }
}

fn lock(dir: &Path) -> Result<File, StartError> {
    let path = dir.join("lock");
    let failed = |error: std::io::Error| {
        StartError::new(format!("The lock file {} cannot be used.", path.display())).because(error)
    };
    let mut options = OpenOptions::new();
    let mut file = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(StartError::new(format!(
                "The state directory {} is in use by {}; stop it, or set FLOW_STATE_DIR to a directory of this one's own.",
                dir.display(),
                holder(&mut file)
            )));
        }
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    // For the sentence above only: the lock is what counts.
    file.rewind()
        .and_then(|()| file.set_len(0))
        .and_then(|()| write!(file, "{}", std::process::id()))
        .map_err(failed)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_service_is_refused_in_one_sentence_until_the_first_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let first = StateDir::open(Some(dir.path())).unwrap();
        let refusal = StateDir::open(Some(dir.path())).unwrap_err().to_string();
        assert!(
            refusal.contains(&format!("in use by another service (process {})", std::process::id())),
            "{refusal}"
        );
        let seen = StateDir::probe(Some(dir.path())).unwrap();
        assert!(seen.contains("in use by another service"), "{seen}");
        drop(first);
        assert!(!StateDir::probe(Some(dir.path())).unwrap().contains("in use"));
        StateDir::open(Some(dir.path())).unwrap();
    }

    #[test]
    fn directories_on_the_way_are_made_and_existing_ones_keep_their_permissions() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o750)).unwrap();
        let state = StateDir::open(Some(&dir.path().join("a/b"))).unwrap();
        assert!(state.path().ends_with("a/b"));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(dir.path()), 0o750);
        assert_eq!(mode(state.path()), if is_root() { 0o711 } else { 0o700 });
        assert_eq!(mode(&state.subdirectory("workspaces").unwrap()), 0o700);
    }

    #[test]
    fn keys_are_made_once_and_are_ours_alone() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(Some(dir.path())).unwrap();
        let key = state.state_key().unwrap();
        assert_eq!(state.state_key().unwrap(), key);
        let mode = fs::metadata(state.path().join("state.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_key_is_an_error_and_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(Some(dir.path())).unwrap();
        fs::write(state.path().join("state.key"), "short").unwrap();
        assert!(state.state_key().unwrap_err().sentence.contains("state.key"));
        assert_eq!(fs::read_to_string(state.path().join("state.key")).unwrap(), "short");
    }
}
