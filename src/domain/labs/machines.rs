//! Machines that labs have on a Proxmox VE: reserved before they are made, watched while they are, and looked for when
//! they should not be there.

mod ledger;
mod sweep;

use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::Serialize;

pub use ledger::{Found, Ledger, Orphan, OrphanKind, Reserved, compare};
pub use sweep::{OfLabs, Orphans};

use crate::{Error, Result, SessionId};

/// A machine as the cluster knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    pub vmid: u32,
    pub name: String,
    pub node: String,
    pub pool: Option<String>,
    pub status: String,
}

/// What a session may make: ids that nobody else has, the pool they belong to, and the tag they get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    pub session: SessionId,
    pub vmids: Vec<u32>,
    pub pool: String,
    pub tag: String,
}

/// A task of the cluster about one machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MachineTask {
    pub upid: String,
    pub vmid: u32,
    /// `qmclone`, `qmstart` …
    #[serde(rename = "task")]
    pub kind: String,
    /// As the cluster says it: `OK`, `WARNINGS: 1`, or what went wrong; none while it runs.
    pub exit: Option<String>,
    /// How far it is, where its log tells.
    pub percent: Option<u8>,
    /// Lines of its log that warn.
    pub warnings: Vec<String>,
}

impl MachineTask {
    pub fn is_running(&self) -> bool {
        self.exit.is_none()
    }

    /// Warnings are no failure; what nobody knows is.
    pub fn failed(&self) -> bool {
        self.exit.as_deref().is_some_and(|exit| exit != "OK" && !exit.starts_with("WARNINGS"))
    }
}

impl fmt::Display for MachineTask {
    /// "cloning disk 41 %".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self.kind.as_str() {
            "qmclone" | "vzclone" => "cloning disk",
            "qmcreate" | "vzcreate" | "qmrestore" => "creating",
            "qmstart" | "vzstart" => "starting",
            "qmstop" | "qmshutdown" | "vzstop" | "vzshutdown" => "stopping",
            "qmdestroy" | "vzdestroy" => "removing",
            "qmconfig" | "resize" | "qmmove" => "setting up",
            "qmsnapshot" => "taking a snapshot",
            "qmrollback" => "rolling back",
            other => other,
        };
        f.write_str(words)?;
        match (self.percent, &self.exit) {
            (Some(percent), None) => write!(f, " {percent} %"),
            (_, Some(exit)) if self.failed() => write!(f, " failed: {exit}"),
            _ => Ok(()),
        }
    }
}

/// A cluster of machines.
#[async_trait]
pub trait Machines: Send + Sync {
    /// What labs' Terraform needs to reach it: address and token. None: there is no cluster.
    fn access(&self) -> Option<(String, String)>;
    /// All machines that our token sees.
    async fn machines(&self) -> Result<Vec<Machine>>;
    /// Tasks about these machines that began since then, in the order they began.
    async fn tasks(&self, vmids: &[u32], since: Timestamp) -> Result<Vec<MachineTask>>;
    /// Stops and removes a machine, and waits for it.
    async fn delete(&self, vmid: u32) -> Result<()>;
}

/// Where there is no cluster.
pub struct NoMachines;

#[async_trait]
impl Machines for NoMachines {
    fn access(&self) -> Option<(String, String)> {
        None
    }

    async fn machines(&self) -> Result<Vec<Machine>> {
        Ok(vec![])
    }

    async fn tasks(&self, _vmids: &[u32], _since: Timestamp) -> Result<Vec<MachineTask>> {
        Ok(vec![])
    }

    async fn delete(&self, _vmid: u32) -> Result<()> {
        Err(Error::conflict("machines.none", "No Proxmox VE is configured."))
    }
}
