//! As whom PostgreSQL's programs run. They refuse root, so root lends them another user.

use std::fs::{self, DirBuilder, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::driven::start_error::StartError;

#[derive(Clone, Debug)]
pub(super) struct Identity {
    uid: u32,
    gid: u32,
    /// Whether this differs from who we are, which only root can bring about.
    lent: bool,
}

impl Identity {
    /// Who owns the cluster below `home`; for a new one, ourselves, or as root `postgres`, or else `nobody`.
    pub fn for_cluster(home: &Path) -> Result<Self, StartError> {
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        let owner =
            fs::metadata(home).ok().map(|found| (found.uid(), found.gid())).filter(|(uid, _)| *uid != 0);
        if !uid.is_root() {
            let own = Self { uid: uid.as_raw(), gid: gid.as_raw(), lent: false };
            return match owner {
                Some((other, _)) if other != own.uid => Err(StartError::new(format!(
                    "The private database in {} belongs to another user (uid {other}); start as that user or as root, or set FLOW_STATE_DIR.",
                    home.display()
                ))),
                _ => Ok(own),
            };
        }
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        match owner.or_else(|| user(&users, "postgres")).or_else(|| user(&users, "nobody")) {
            Some((uid, gid)) => Ok(Self { uid, gid, lent: true }),
            None => Err(StartError::new(
                "PostgreSQL does not run as root, and this machine has neither a user postgres nor nobody to run it as.",
            )),
        }
    }

    /// Makes `command` run as this user. The group list is emptied along with it.
    pub fn apply(&self, command: &mut Command) {
        if self.lent {
            command.uid(self.uid).gid(self.gid);
        }
    }

    /// Makes a directory that only this user (and root) can enter, or checks that it is one.
    pub fn make_private(&self, dir: &Path) -> Result<(), StartError> {
        let failed = |error| {
            StartError::new(format!("The directory {} cannot be made.", dir.display())).because(error)
        };
        match DirBuilder::new().mode(0o700).create(dir) {
            Ok(()) if self.lent => chown(dir, Some(self.uid), Some(self.gid)).map_err(failed)?,
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(error)),
        }
        // Not through a link, which someone else may have put there when the parent is /tmp.
        let found = fs::symlink_metadata(dir).map_err(failed)?;
        if self.lent && found.is_dir() && found.uid() == 0 {
            // Made by a start that was killed before it gave the directory away.
            chown(dir, Some(self.uid), Some(self.gid)).map_err(failed)?;
        } else if !found.is_dir() || found.uid() != self.uid || found.mode() & 0o077 != 0 {
            return Err(StartError::new(format!(
                "{} must be a directory of the private database's user (uid {}) with mode 0700; it is not.",
                dir.display(),
                self.uid
            )));
        }
        Ok(())
    }

    /// Whether this user may pass through every directory down to `path`; the error names the first that is closed.
    pub fn must_reach(&self, path: &Path) -> Result<(), StartError> {
        if !self.lent {
            return Ok(());
        }
        let mut down: Vec<&Path> = path.ancestors().collect();
        down.reverse();
        match down.into_iter().find(|dir| fs::metadata(dir).is_ok_and(|found| !self.may_enter(&found))) {
            None => Ok(()),
            Some(closed) => Err(StartError::new(format!(
                "PostgreSQL does not run as root, and the user lent to it (uid {}) may not enter {} on the way to {}; set FLOW_STATE_DIR and FLOW_DATABASE_BIN_DIR to places it can reach.",
                self.uid,
                closed.display(),
                path.display()
            ))),
        }
    }

    fn may_enter(&self, dir: &Metadata) -> bool {
        let bit = if dir.uid() == self.uid {
            0o100
        } else if dir.gid() == self.gid {
            0o010
        } else {
            0o001
        };
        !dir.is_dir() || dir.mode() & bit != 0
    }
}

/// The ids of a user in the text of `/etc/passwd`.
fn user(passwd: &str, name: &str) -> Option<(u32, u32)> {
    let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_users_ids_are_read_by_its_whole_name() {
        let passwd = "root:x:0:0::/root:/bin/sh\npostgresql:x:9:9::/:\npostgres:x:104:105::/:\nbroken:x\n";
        assert_eq!(user(passwd, "postgres"), Some((104, 105)));
        assert_eq!((user(passwd, "nobody"), user(passwd, "broken")), (None, None));
    }

    #[test]
    fn a_closed_directory_on_the_way_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let inside = dir.path().join("state");
        fs::create_dir(&inside).unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let stranger = Identity { uid: 4_000_000, gid: 4_000_000, lent: true };
        let error = stranger.must_reach(&inside).unwrap_err().sentence;
        assert!(error.contains(&format!("may not enter {} on the way", dir.path().display())), "{error}");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711)).unwrap();
        stranger.must_reach(&inside).unwrap();
    }

    #[test]
    fn a_directory_that_others_can_enter_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let own = Identity {
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            lent: false,
        };
        assert!(own.make_private(dir.path()).is_err());
        own.make_private(&dir.path().join("new")).unwrap();
    }
}
