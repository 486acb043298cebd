//! Learners' directories on the file system: root/USER/LAB, each 0700.
//!
//! Every step down is taken from an open directory and follows no link, so that neither a name nor a link that a
//! learner's program puts in the way, at whatever moment, leads outside the root.

mod tree;

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use flow_domain::ports::Workspaces;
use flow_domain::{Error, Fault, Kind, Result, UserId};
use rustix::fs::{AtFlags, Mode, unlinkat};
use rustix::io::Errno;

use super::disk;
use tree::{copy_into, empty, make_dir, open_dir};

/// Of a lab's name; it is also a file's, of which most systems allow 255 bytes.
const LONGEST_NAME: usize = 64;

pub struct FsWorkspaces {
    root: PathBuf,
}

impl FsWorkspaces {
    /// Makes the root, 0700, if it is missing; its parents must be there. Blocks: for the start of a process.
    pub fn new(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        let made = rustix::fs::mkdir(&root, Mode::RWXU);
        if let Err(error) = made
            && error != Errno::EXIST
        {
            return Err(Error::internal(format!("{}: {error}", root.display())));
        }
        // From here on the root is one place, whatever links lead to it.
        let root = std::fs::canonicalize(&root).map_err(|error| broken(&root, error))?;
        if !root.is_dir() {
            return Err(Error::internal(format!("{} is not a directory", root.display())));
        }
        Ok(Self { root })
    }

    /// Runs `work` where it may block, with the root.
    async fn blocking<T: Send + 'static>(
        &self,
        lab: &str,
        work: impl FnOnce(&Path, &str) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (root, lab) = (self.root.clone(), valid(lab)?.to_owned());
        tokio::task::spawn_blocking(move || work(&root, &lab)).await.map_err(Error::internal)?
    }
}

#[async_trait]
impl Workspaces for FsWorkspaces {
    async fn create(&self, user: UserId, lab: &str) -> Result<(PathBuf, bool)> {
        let made = move |root: &Path, lab: &str| {
            let (_, made) = create(root, user, lab)?;
            Ok((path(root, user, lab), made))
        };
        self.blocking(lab, made).await
    }

    async fn find(&self, user: UserId, lab: &str) -> Result<Option<PathBuf>> {
        let found = move |root: &Path, lab: &str| {
            let Some(owner) = open_user(root, user)? else { return Ok(None) };
            match open_dir(&owner, lab) {
                Ok(_) => Ok(Some(path(root, user, lab))),
                Err(Errno::NOENT) => Ok(None),
                Err(error) => Err(in_the_way(&path(root, user, lab), error)),
            }
        };
        self.blocking(lab, found).await
    }

    async fn fill(&self, user: UserId, lab: &str, from: &Path) -> Result<()> {
        let from = from.to_owned();
        let filled = move |root: &Path, lab: &str| {
            let (target, _) = create(root, user, lab)?;
            // The lab's folder is the operator's own: links on the way to it are followed, links in it are not.
            let source = rustix::fs::open(&from, tree::directory(), Mode::empty())
                .map_err(|error| broken(&from, error))?;
            copy_into(&source, &target).map_err(|error| broken(&path(root, user, lab), error))
        };
        self.blocking(lab, filled).await
    }

    async fn remove(&self, user: UserId, lab: &str) -> Result<()> {
        let removed = move |root: &Path, lab: &str| {
            let Some(owner) = open_user(root, user)? else { return Ok(()) };
            remove(&owner, lab).map_err(|error| broken(&path(root, user, lab), error))
        };
        self.blocking(lab, removed).await
    }
}

/// The lab's open directory, and whether it was made now.
fn create(root: &Path, user: UserId, lab: &str) -> Result<(OwnedFd, bool)> {
    let root_dir = open_root(root)?;
    let place = path(root, user, lab);
    let (owner, _) = make_dir(&root_dir, &user.to_string()).map_err(|error| in_the_way(&place, error))?;
    make_dir(&owner, lab).map_err(|error| in_the_way(&place, error))
}

/// Removes the directory with all in it, or the link or file that stands in its place.
fn remove(owner: &OwnedFd, lab: &str) -> rustix::io::Result<()> {
    let gone = match open_dir(owner, lab) {
        Ok(dir) => {
            empty(&dir)?;
            unlinkat(owner, lab, AtFlags::REMOVEDIR)
        }
        Err(Errno::LOOP | Errno::NOTDIR) => unlinkat(owner, lab, AtFlags::empty()),
        Err(error) => Err(error),
    };
    match gone {
        Err(Errno::NOENT) => Ok(()),
        gone => gone,
    }
}

fn open_root(root: &Path) -> Result<OwnedFd> {
    rustix::fs::open(root, tree::directory(), Mode::empty()).map_err(|error| broken(root, error))
}

fn open_user(root: &Path, user: UserId) -> Result<Option<OwnedFd>> {
    match open_dir(&open_root(root)?, user.to_string()) {
        Ok(dir) => Ok(Some(dir)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(in_the_way(root, error)),
    }
}

fn path(root: &Path, user: UserId, lab: &str) -> PathBuf {
    root.join(user.to_string()).join(lab)
}

/// `[a-z0-9][a-z0-9._-]{0,63}` without `..`: one part of a path, which is never hidden and never the parent.
fn valid(lab: &str) -> Result<&str> {
    let first = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let known = |c: char| first(c) || ".-_".contains(c);
    if lab.len() <= LONGEST_NAME && lab.starts_with(first) && lab.chars().all(known) && !lab.contains("..") {
        return Ok(lab);
    }
    let rule = "1 to 64 of a-z, 0-9, '.', '-' and '_', a letter or digit first and no two dots in a row";
    Err(Error::invalid(
        "workspace.name_invalid",
        format!("A lab's name is {rule}."),
        vec![Fault::new("/lab", "workspace.name_invalid", rule)],
    ))
}

/// A link or a file where a directory belongs is somebody's doing; anything else is ours.
fn in_the_way(place: &Path, error: Errno) -> Error {
    match error {
        Errno::LOOP | Errno::NOTDIR => {
            let public = "Something that is not a directory stands where the lab's directory belongs.";
            Error::new(Kind::Conflict, "workspace.not_a_directory", public)
                .because(format!("{}: {error}", place.display()))
        }
        error => broken(place, error),
    }
}

fn broken(place: &Path, error: impl Into<std::io::Error>) -> Error {
    let error = error.into();
    if let Some(full) = disk::full(&error) {
        return full;
    }
    Error::internal(format!("{}: {error}", place.display()))
}

#[cfg(test)]
mod tests;
