//! Workspaces below a directory of the test's own, removed with it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use uuid::Uuid;

use super::flow_store::effect;
use crate::ports::Workspaces;
use crate::{Error, Result, UserId};

pub struct TempWorkspaces {
    root: PathBuf,
}

impl Default for TempWorkspaces {
    fn default() -> Self {
        Self { root: std::env::temp_dir().join(format!("flow-test-{}", Uuid::now_v7())) }
    }
}

impl Drop for TempWorkspaces {
    fn drop(&mut self) {
        // Nothing was made, or nothing more can be done about it.
        let _ = fs::remove_dir_all(&self.root);
    }
}

impl TempWorkspaces {
    /// Everything below it goes when this does.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// How many directories of labs there are.
    pub fn count(&self) -> usize {
        let entries =
            |dir: &Path| fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
        let users = entries(&self.root).filter(|path| path.file_name().is_some_and(|name| name.len() == 36));
        users.map(|user| entries(&user).count()).sum()
    }

    fn path(&self, user: UserId, lab: &str) -> Result<PathBuf> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        if lab.is_empty() || lab.starts_with(['.', '_', '-']) || lab.contains("..") || !lab.chars().all(plain)
        {
            return Err(Error::invalid("workspace.name_invalid", "This is not the name of a lab.", vec![]));
        }
        Ok(self.root.join(user.to_string()).join(lab))
    }
}

#[async_trait]
impl Workspaces for TempWorkspaces {
    async fn create(&self, user: UserId, lab: &str) -> Result<(PathBuf, bool)> {
        effect().await;
        let path = self.path(user, lab)?;
        let made = !path.is_dir();
        fs::create_dir_all(&path).map_err(Error::internal)?;
        Ok((path, made))
    }

    async fn find(&self, user: UserId, lab: &str) -> Result<Option<PathBuf>> {
        Ok(Some(self.path(user, lab)?).filter(|path| path.is_dir()))
    }

    async fn fill(&self, user: UserId, lab: &str, from: &Path) -> Result<()> {
        effect().await;
        let (path, _) = self.create(user, lab).await?;
        copy(from, &path).map_err(Error::internal)
    }

    async fn remove(&self, user: UserId, lab: &str) -> Result<()> {
        effect().await;
        match fs::remove_dir_all(self.path(user, lab)?) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::internal(error)),
            _ => Ok(()),
        }
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir_all(&target)?;
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
