//! A session's state file and its copy.
//!
//! Terraform rewrites its local state in place: a kill in the wrong moment leaves an empty file, and the next plan
//! would quietly make everything again. So each state that parses is copied, and before a command starts the best of
//! file, copy and what Terraform saved elsewhere is put in place.

use std::io;
use std::path::{Path, PathBuf};

use flow_domain::labs::{StateCopies, StateCopy};
use flow_domain::{Error, Result, SessionId};
use serde::Deserialize;

use crate::driven::disk;
use crate::driven::process::record::write_atomically;

/// What stands in the session's directory.
#[derive(Debug, PartialEq, Eq)]
pub enum Standing {
    /// No state, and no copy of one.
    Nothing,
    /// A state that can be read, with this many objects.
    State { objects: usize },
    /// A file that cannot be read, empty perhaps, and no copy.
    Unreadable,
}

#[derive(Deserialize)]
struct Head {
    version: u32,
    serial: i64,
    lineage: String,
    #[serde(default)]
    resources: Vec<Held>,
}

#[derive(Deserialize)]
struct Held {
    #[serde(default)]
    mode: String,
    #[serde(default)]
    instances: Vec<serde::de::IgnoredAny>,
}

impl Head {
    /// Version 4 is that of every Terraform since 0.12, and of OpenTofu.
    fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice::<Self>(bytes)
            .ok()
            .filter(|head| head.version == 4 && !head.lineage.is_empty())
    }

    fn standing(&self) -> Standing {
        let managed = self.resources.iter().filter(|held| held.mode == "managed");
        Standing::State { objects: managed.map(|held| held.instances.len()).sum() }
    }
}

/// A state that can be read, and what it says.
struct State {
    head: Head,
    bytes: Vec<u8>,
}

impl State {
    fn parse(bytes: Vec<u8>) -> Option<Self> {
        Some(Self { head: Head::parse(&bytes)?, bytes })
    }

    /// The better of two: the higher serial of one lineage. A state of another lineage never takes the place of one.
    fn or(self, other: Self, equal_is_newer: bool) -> Self {
        let newer =
            other.head.serial > self.head.serial || equal_is_newer && other.head.serial == self.head.serial;
        if newer && other.head.lineage == self.head.lineage { other } else { self }
    }
}

/// Where Terraform leaves a state that it could not write to its place, in its working directory.
fn errored(file: &Path) -> PathBuf {
    file.with_file_name("errored.tfstate")
}

/// Puts the best of file, copy and `errored.tfstate` in place. Only while no Terraform runs there.
pub async fn settle(copies: &dyn StateCopies, session: SessionId, file: &Path) -> Result<Standing> {
    let bytes = read(file)?;
    let found = bytes.is_some();
    let copy = copies.latest(session).await?.and_then(|copy| State::parse(copy.bytes));
    let saved = read(&errored(file))?.and_then(State::parse);
    let here = bytes.clone().and_then(State::parse);
    // Of equals the file is the newer one to its copy, and what could not be written to the file to the file.
    let best =
        [(copy, false), (saved, true)].into_iter().fold(here, |best, (other, equal_is_newer)| {
            match (best, other) {
                (Some(best), Some(other)) => Some(best.or(other, equal_is_newer)),
                (best, other) => best.or(other),
            }
        });
    let Some(best) = best else {
        return Ok(if found { Standing::Unreadable } else { Standing::Nothing });
    };
    if bytes.as_deref() != Some(&best.bytes[..]) {
        log::warn!("session={session} state restored: serial={}", best.head.serial);
        write_atomically(file, &best.bytes).map_err(unwritten)?;
    }
    let (standing, lineage) = (best.head.standing(), best.head.lineage.clone());
    copy_of(copies, session, best).await?;
    // One of another lineage is left for whoever looks for it.
    if read(&errored(file))?.and_then(State::parse).is_none_or(|saved| saved.head.lineage == lineage) {
        let _ = std::fs::remove_file(errored(file));
    }
    Ok(standing)
}

/// Copies a state that Terraform could write to no file, and puts it in its place if that can be written now. `dumped`
/// is what it said instead; else the state is in `errored.tfstate`, if anywhere.
pub async fn rescue(copies: &dyn StateCopies, session: SessionId, file: &Path, dumped: Option<Vec<u8>>) {
    let saved = || read(&errored(file)).ok().flatten();
    if let Some(state) = dumped.or_else(saved).and_then(State::parse) {
        log::warn!("session={session} state not written by terraform: serial={}", state.head.serial);
        if let Err(error) = copy_of(copies, session, state).await {
            log::error!("session={session} state not copied: {error}");
        }
    }
    if let Err(error) = settle(copies, session, file).await {
        log::error!("session={session} state not restored yet: {error}");
    }
}

fn unwritten(error: io::Error) -> Error {
    disk::full(&error).unwrap_or_else(|| Error::internal(error))
}

async fn copy_of(copies: &dyn StateCopies, session: SessionId, state: State) -> Result<bool> {
    let State { head, bytes } = state;
    copies.keep(session, StateCopy { lineage: head.lineage, serial: head.serial, bytes }).await
}

/// Copies the state if it can be read. `false`: it cannot, at this moment; Terraform may be writing it.
pub async fn keep(copies: &dyn StateCopies, session: SessionId, file: &Path) -> Result<bool> {
    let Some(bytes) = read(file)? else { return Ok(true) };
    let Some(state) = State::parse(bytes) else { return Ok(false) };
    copy_of(copies, session, state).await?;
    Ok(true)
}

fn read(file: &Path) -> Result<Option<Vec<u8>>> {
    match std::fs::read(file) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::internal(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use serde_json::json;

    use super::*;

    #[derive(Default)]
    struct Copies(Mutex<Vec<StateCopy>>);

    #[async_trait]
    impl StateCopies for Copies {
        fn ready(&self) -> Result<()> {
            Ok(())
        }

        async fn keep(&self, _: SessionId, copy: StateCopy) -> Result<bool> {
            self.0.lock().unwrap().push(copy);
            Ok(true)
        }

        async fn latest(&self, _: SessionId) -> Result<Option<StateCopy>> {
            Ok(self.0.lock().unwrap().iter().max_by_key(|copy| copy.serial).cloned())
        }
    }

    fn state(lineage: &str, serial: i64, objects: usize) -> Vec<u8> {
        let instances: Vec<_> = (0..objects).map(|_| json!({})).collect();
        let resources =
            json!([{"mode": "managed", "instances": instances}, {"mode": "data", "instances": [{}]}]);
        json!({"version": 4, "serial": serial, "lineage": lineage, "resources": resources})
            .to_string()
            .into_bytes()
    }

    /// What is put in place for a file and a copy, and what the file then holds.
    async fn settled(file: Option<&[u8]>, copy: Option<Vec<u8>>) -> (Standing, Option<Vec<u8>>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("terraform.tfstate");
        let (copies, session) = (Copies::default(), SessionId::new());
        if let Some(copy) = copy {
            std::fs::write(&path, copy).unwrap();
            assert!(keep(&copies, session, &path).await.unwrap());
            std::fs::remove_file(&path).unwrap();
        }
        if let Some(bytes) = file {
            std::fs::write(&path, bytes).unwrap();
        }
        (settle(&copies, session, &path).await.unwrap(), std::fs::read(&path).ok())
    }

    #[tokio::test]
    async fn an_empty_a_broken_and_a_missing_file_are_restored_from_the_copy() {
        let copy = state("a", 7, 3);
        for file in [Some(&b""[..]), Some(b"{\"version\":4,"), None] {
            let (standing, there) = settled(file, Some(copy.clone())).await;
            assert_eq!(standing, Standing::State { objects: 3 });
            assert_eq!(there, Some(copy.clone()));
        }
    }

    #[tokio::test]
    async fn the_higher_serial_of_one_lineage_wins() {
        let (standing, there) = settled(Some(&state("a", 8, 1)), Some(state("a", 7, 3))).await;
        assert_eq!((standing, there), (Standing::State { objects: 1 }, Some(state("a", 8, 1))));
        let (_, there) = settled(Some(&state("a", 6, 1)), Some(state("a", 7, 3))).await;
        assert_eq!(there, Some(state("a", 7, 3)));
    }

    #[tokio::test]
    async fn a_file_of_another_lineage_is_not_overwritten() {
        let (_, there) = settled(Some(&state("b", 1, 1)), Some(state("a", 7, 3))).await;
        assert_eq!(there, Some(state("b", 1, 1)));
    }

    #[tokio::test]
    async fn a_state_that_terraform_saved_elsewhere_takes_its_place_and_is_copied() {
        let dir = tempfile::tempdir().unwrap();
        let (path, saved) = (dir.path().join("terraform.tfstate"), dir.path().join("errored.tfstate"));
        // What stands there, what was saved, and whether that is the better one.
        for (here, elsewhere, better) in [
            (state("a", 7, 1), state("a", 7, 2), true),
            (vec![], state("a", 7, 2), true),
            (state("a", 7, 1), state("a", 6, 2), false),
            (state("a", 7, 1), b"{".to_vec(), false),
            (state("a", 7, 1), state("b", 9, 2), false),
        ] {
            let (copies, session) = (Copies::default(), SessionId::new());
            std::fs::write(&path, &here).unwrap();
            std::fs::write(&saved, &elsewhere).unwrap();
            settle(&copies, session, &path).await.unwrap();
            let wanted = if better { elsewhere } else { here };
            assert_eq!(std::fs::read(&path).unwrap(), wanted);
            assert_eq!(copies.latest(session).await.unwrap().unwrap().bytes, wanted);
            let left = std::fs::read(&saved).is_ok_and(|bytes| bytes == state("b", 9, 2));
            assert_eq!(saved.exists(), left, "it would be in the way of the next one");
        }
        assert!(saved.exists(), "what is of another lineage is not ours to remove");
    }

    #[tokio::test]
    async fn a_state_that_was_only_told_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("terraform.tfstate");
        std::fs::write(&path, "").unwrap();
        let (copies, session) = (Copies::default(), SessionId::new());
        rescue(&copies, session, &path, Some(state("a", 3, 2))).await;
        assert_eq!(std::fs::read(&path).unwrap(), state("a", 3, 2));
        assert_eq!(copies.latest(session).await.unwrap().unwrap().serial, 3);
        // With no place to write to it is in the copies all the same.
        let gone = dir.path().join("gone/terraform.tfstate");
        rescue(&copies, session, &gone, Some(state("a", 4, 2))).await;
        assert_eq!(copies.latest(session).await.unwrap().unwrap().serial, 4);
    }

    #[tokio::test]
    async fn without_a_copy_an_unreadable_file_is_told_from_no_file() {
        assert_eq!(settled(Some(b""), None).await.0, Standing::Unreadable);
        assert_eq!(settled(None, None).await.0, Standing::Nothing);
    }

    #[tokio::test]
    async fn a_half_written_state_is_not_copied() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("terraform.tfstate");
        std::fs::write(&path, &state("a", 1, 1)[..20]).unwrap();
        let copies = Copies::default();
        assert!(!keep(&copies, SessionId::new(), &path).await.unwrap());
        assert!(copies.0.lock().unwrap().is_empty());
    }
}
