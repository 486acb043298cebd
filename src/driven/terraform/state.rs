//! A session's state file and its copy.
//!
//! Terraform rewrites its local state in place: a kill in the wrong moment leaves an empty file, and the next plan
//! would quietly make everything again. So each state that parses is copied, and before a command starts the better
//! of file and copy is put in place.

use std::io;
use std::path::Path;

use flow_domain::labs::{StateCopies, StateCopy};
use flow_domain::{Error, Result, SessionId};
use serde::Deserialize;

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

/// Puts the better of file and copy in place. Only while no Terraform runs there.
pub async fn settle(copies: &dyn StateCopies, session: SessionId, file: &Path) -> Result<Standing> {
    let bytes = read(file)?;
    let here = bytes.as_deref().and_then(Head::parse);
    let copy = copies.latest(session).await?;
    let copied = copy.as_ref().and_then(|copy| Some((copy, Head::parse(&copy.bytes)?)));
    let restore = match (&here, &copied) {
        (Some(here), Some((_, copied))) => here.lineage == copied.lineage && copied.serial > here.serial,
        (None, Some(_)) => true,
        (_, None) => false,
    };
    match (restore, here, copied) {
        (true, _, Some((copy, head))) => {
            log::warn!("session={session} state restored from its copy: serial={}", head.serial);
            write_atomically(file, &copy.bytes).map_err(Error::internal)?;
            Ok(head.standing())
        }
        (_, Some(here), _) => Ok(here.standing()),
        _ if bytes.is_some() => Ok(Standing::Unreadable),
        _ => Ok(Standing::Nothing),
    }
}

/// Copies the state if it can be read. `false`: it cannot, at this moment; Terraform may be writing it.
pub async fn keep(copies: &dyn StateCopies, session: SessionId, file: &Path) -> Result<bool> {
    let Some(bytes) = read(file)? else { return Ok(true) };
    let Some(Head { lineage, serial, .. }) = Head::parse(&bytes) else { return Ok(false) };
    copies.keep(session, StateCopy { lineage, serial, bytes }).await?;
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
