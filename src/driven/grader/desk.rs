//! The folder that one grader works at.
//!
//! ```text
//! ROOT/                0711 ours
//!   60610/             0750 ours, group of the grader    the name is the place: making the folder takes it
//!     owner            0600 ours                         whose record it belongs to
//!     grade            0550 ours                         a copy of the grading program
//!     input.json       0440 ours
//!     session/         0750 ours                         a copy of the session's files
//!     work/            0700 the grader's                 its home, temporary directory, and result.json
//! ```
//! What is ours in it a grader can read and not change, so that no path in it ever leads elsewhere.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Error, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use flow_domain::labs::GradeJob;
use rustix::fs::{FlockOperation, flock};
use rustix::process::geteuid;

use super::accounts::Accounts;
use super::files::{copy_tree, read_result, write_new};
use crate::driven::process::end_all_of;
use crate::driven::process::record::{private_dir, write_atomically};

/// All places for graders of this machine.
pub struct Desks {
    root: PathBuf,
    accounts: Accounts,
}

pub struct Desk {
    dir: PathBuf,
    account: Option<u32>,
}

impl Desks {
    pub fn new(root: PathBuf, accounts: Accounts) -> Self {
        Self { root, accounts }
    }

    /// The desk of the grader that was started with this record, or the first free one, set up; none when all are
    /// taken. Blocks.
    pub fn take(&self, job: &GradeJob, started: bool) -> io::Result<Option<Desk>> {
        let _one = self.lock()?;
        match self.of(&job.record_dir) {
            Some(desk) if started => return Ok(Some(desk)),
            Some(desk) => desk.clear(),
            // What it said was at the desk: it is asked again.
            None if started => fs::remove_dir_all(&job.record_dir)?,
            None => {}
        }
        private_dir(&job.record_dir)?;
        let (places, own) = self.accounts.places();
        for place in places {
            let desk = self.desk(place, own);
            desk.clear_if_abandoned();
            match DirBuilder::new().mode(0o700).create(&desk.dir) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error),
            }
            desk.set_up(job).inspect_err(|_| desk.clear())?;
            return Ok(Some(desk));
        }
        Ok(None)
    }

    /// Gives the place back once its grader is followed to its end; the record is of no use without it. Blocks.
    pub fn give_back(&self, desk: &Desk, record: &Path) -> io::Result<()> {
        let _one = self.lock()?;
        fs::remove_dir_all(record)?;
        desk.clear();
        Ok(())
    }

    /// Services of one machine may share the places, so one at a time looks for a free one.
    fn lock(&self) -> io::Result<File> {
        self.check_root()?;
        let path = self.root.join("lock");
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        flock(&file, FlockOperation::LockExclusive)?;
        Ok(file)
    }

    fn of(&self, record: &Path) -> Option<Desk> {
        let (mut places, own) = self.accounts.places();
        let found = places.find(|place| {
            let owner = fs::read(self.root.join(place.to_string()).join("owner"));
            owner.is_ok_and(|owner| owner == record.as_os_str().as_bytes())
        });
        found.map(|place| self.desk(place, own))
    }

    fn desk(&self, place: u32, own: bool) -> Desk {
        Desk { dir: self.root.join(place.to_string()), account: own.then_some(place) }
    }

    /// In a directory where everybody may write, somebody else may have made it first.
    fn check_root(&self) -> io::Result<()> {
        let made = DirBuilder::new().recursive(true).mode(0o711).create(&self.root);
        made.or_else(|error| if self.root.is_dir() { Ok(()) } else { Err(error) })?;
        let root = fs::symlink_metadata(&self.root)?;
        if !root.is_dir() || root.uid() != geteuid().as_raw() || root.mode() & 0o022 != 0 {
            return Err(Error::other(format!("{} belongs to somebody else", self.root.display())));
        }
        fs::set_permissions(&self.root, Permissions::from_mode(0o711))
    }
}

impl Desk {
    pub fn account(&self) -> Option<u32> {
        self.account
    }

    pub fn grader(&self) -> PathBuf {
        self.dir.join("grade")
    }

    pub fn input(&self) -> PathBuf {
        self.dir.join("input.json")
    }

    pub fn work(&self) -> PathBuf {
        self.dir.join("work")
    }

    pub fn result_file(&self) -> PathBuf {
        self.work().join("result.json")
    }

    /// Lays out all that the grader needs.
    fn set_up(&self, job: &GradeJob) -> io::Result<()> {
        write_atomically(&self.dir.join("owner"), job.record_dir.as_os_str().as_bytes())?;
        // Left by a grader whose desk was removed by hand.
        self.account.into_iter().for_each(end_all_of);
        let session = self.dir.join("session");
        DirBuilder::new().mode(0o750).create(&session)?;
        self.give(&session)?;
        copy_tree(&job.dir, &session, self.account)?;
        write_new(&self.grader(), &fs::read(&job.grader)?, 0o550, self.account)?;
        let mut input = job.input.clone();
        if let Some(fields) = input.as_object_mut() {
            fields.insert("directory".to_owned(), session.to_string_lossy().into());
        }
        // One key a line, so that a grader needs no more than a shell to read it.
        write_new(&self.input(), &serde_json::to_vec_pretty(&input)?, 0o440, self.account)?;
        DirBuilder::new().mode(0o700).create(self.work())?;
        if let Some(account) = self.account {
            chown(self.work(), Some(account), Some(account))?;
        }
        self.give(&self.dir)?;
        fs::set_permissions(&self.dir, Permissions::from_mode(0o750))
    }

    /// The result file's text, if there is one; the error says why it cannot be taken.
    pub fn result(&self) -> Result<Option<String>, String> {
        let owner = self.account.unwrap_or_else(|| geteuid().as_raw());
        read_result(&self.result_file(), owner)
    }

    /// Ends what is left of the grader, and frees the place.
    fn clear(&self) {
        self.account.into_iter().for_each(end_all_of);
        // A grader may have made folders that even their owner cannot enter; without root's rights those stay.
        if let Err(error) = fs::remove_dir_all(&self.dir)
            && error.kind() != ErrorKind::NotFound
        {
            log::warn!("a grader's desk is left behind: {error}");
        }
    }

    /// Its record is gone, and so is whoever would have cleared it.
    fn clear_if_abandoned(&self) {
        let owner = fs::read(self.dir.join("owner"));
        let abandoned = owner.is_ok_and(|owner| !Path::new(std::ffi::OsStr::from_bytes(&owner)).exists());
        if abandoned {
            self.clear();
        }
    }

    /// The grader may read it.
    fn give(&self, path: &Path) -> io::Result<()> {
        match self.account {
            Some(account) => chown(path, None, Some(account)),
            None => Ok(()),
        }
    }
}
