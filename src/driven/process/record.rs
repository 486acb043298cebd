//! The directory that tells of one program: the only thing that outlives both the service and the wrapper.
//!
//! | file | written by | says |
//! | --- | --- | --- |
//! | `lock` | held by the wrapper for its life | somebody watches the program |
//! | `spec.json`, `stdin` | service, taken away by the starter | what to start; may hold secrets |
//! | `begun` | wrapper, just before the start | from here on nobody may start it again |
//! | `pid.json` | starter, just before it becomes the program | who it is |
//! | `stop.json` | service, just before the signal | it was told to stop, when and why |
//! | `stdout`, `stderr` | the program | its output |
//! | `exit.json` | wrapper, when nothing of its group is left; starter, when it cannot start it | how it ended |

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use flow_domain::ports::{Confine, Limits};
use rustix::fs::{FlockOperation, flock};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What the wrapper is to start.
#[derive(Serialize, Deserialize)]
pub struct Spec {
    pub path: PathBuf,
    pub args: Vec<String>,
    pub env: BTreeMap<String, String>,
    pub cwd: PathBuf,
    pub stdin: bool,
    pub limits: Limits,
    #[serde(default)]
    pub confine: Option<Confine>,
}

/// Who the program is: a pid alone may be another's by now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Also the id of its process group.
    pub pid: i32,
    /// In clock ticks since boot, from `/proc/PID/stat`.
    pub start_time: u64,
    pub boot_id: String,
    /// The wrapper's session, which the whole group belongs to.
    pub session: i32,
    /// Unix time.
    pub started_at_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    Cancel,
    Timeout,
}

/// It was told to stop. Kept, so that a service that comes later does not tell it twice.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Stop {
    pub reason: StopReason,
    pub at_ms: u64,
}

/// How it ended: a code, a signal, or the reason why it could not be started at all.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ending {
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub not_started: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Record {
    dir: PathBuf,
}

/// Held until it is dropped, or its process is gone.
pub struct Lock {
    _file: File,
}

impl Record {
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn exists(&self) -> bool {
        self.dir.is_dir()
    }

    pub fn create(&self) -> io::Result<()> {
        private_dir(&self.dir)
    }

    pub fn stdout(&self) -> PathBuf {
        self.dir.join("stdout")
    }

    pub fn stderr(&self) -> PathBuf {
        self.dir.join("stderr")
    }

    pub fn stdin(&self) -> PathBuf {
        self.dir.join("stdin")
    }

    /// Waits for the lock. None when the directory was removed or replaced meanwhile: it tells of another program.
    pub fn lock(&self) -> io::Result<Option<Lock>> {
        let file = self.lock_file()?;
        flock(&file, FlockOperation::LockExclusive)?;
        self.current(file)
    }

    /// The lock, unless somebody holds it.
    pub fn try_lock(&self) -> io::Result<Option<Lock>> {
        let file = self.lock_file()?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => self.current(file),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn lock_file(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600).open(self.dir.join("lock"))
    }

    fn current(&self, file: File) -> io::Result<Option<Lock>> {
        let held = file.metadata()?;
        match fs::metadata(self.dir.join("lock")) {
            Ok(there) if (there.ino(), there.dev()) == (held.ino(), held.dev()) => {
                Ok(Some(Lock { _file: file }))
            }
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Prepares a start. Call it under the lock.
    pub fn prepare(&self, spec: &Spec, stdin: Option<&[u8]>) -> io::Result<()> {
        if let Some(bytes) = stdin {
            write_atomically(&self.stdin(), bytes)?;
        }
        self.write("spec.json", spec)
    }

    /// What is to be started, if anything still is. Call it under the lock.
    pub fn spec(&self) -> io::Result<Option<Spec>> {
        self.read("spec.json")
    }

    /// Takes away what may hold secrets; a start that was not made yet is called off by it. Call it under the lock.
    pub fn forget_spec(&self) -> io::Result<()> {
        for name in ["spec.json", "stdin"] {
            match fs::remove_file(self.dir.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    pub fn begin(&self) -> io::Result<()> {
        write_atomically(&self.dir.join("begun"), b"")
    }

    pub fn begun(&self) -> bool {
        self.dir.join("begun").exists()
    }

    pub fn set_identity(&self, identity: &Identity) -> io::Result<()> {
        self.write("pid.json", identity)
    }

    pub fn identity(&self) -> io::Result<Option<Identity>> {
        self.read("pid.json")
    }

    pub fn set_stop(&self, stop: &Stop) -> io::Result<()> {
        self.write("stop.json", stop)
    }

    pub fn stop(&self) -> io::Result<Option<Stop>> {
        self.read("stop.json")
    }

    pub fn set_ending(&self, ending: &Ending) -> io::Result<()> {
        self.write("exit.json", ending)
    }

    pub fn ending(&self) -> io::Result<Option<Ending>> {
        self.read("exit.json")
    }

    fn write(&self, name: &str, value: &impl Serialize) -> io::Result<()> {
        write_atomically(&self.dir.join(name), &serde_json::to_vec(value)?)
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        let mut bytes = Vec::new();
        match File::open(self.dir.join(name)) {
            Ok(mut file) => file.read_to_end(&mut bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some(serde_json::from_slice(&bytes)?))
    }
}

/// Unix time in milliseconds: what one process writes, another one reads.
pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// Makes a directory and its parents where they are missing, for nobody but us.
pub fn private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// The file is there whole or not at all, whenever a process dies.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(new, path)
}
