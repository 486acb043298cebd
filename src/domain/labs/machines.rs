//! Machines that labs have on a Proxmox VE: reserved before they are made, watched while they are, and looked for when
//! they should not be there.

mod ledger;
mod refine;
mod sweep;
mod task;

use async_trait::async_trait;
use jiff::Timestamp;

pub use ledger::{Found, Ledger, Orphan, OrphanKind, Reserved, compare};
pub use refine::{MachinesAtWork, Refined, Refinement, Working};
pub use sweep::{OfLabs, Orphans};
pub use task::{MachineTask, TaskNews, TaskNotes, is_of_task};

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

/// A cluster of machines.
#[async_trait]
pub trait Machines: Send + Sync {
    /// What labs' Terraform needs to reach it: address and token. None: there is no cluster.
    fn access(&self) -> Option<(String, String)>;
    /// All machines that our token sees.
    async fn machines(&self) -> Result<Vec<Machine>>;
    /// Follows the tasks about these machines that begin from then on, by our clock.
    fn follow<'a>(&'a self, vmids: &[u32], since: Timestamp) -> Box<dyn TaskFeed + 'a>;
    /// Stops and removes a machine, and waits for it.
    async fn delete(&self, vmid: u32) -> Result<()>;
}

/// Tasks about some machines, looked at again and again.
#[async_trait]
pub trait TaskFeed: Send {
    /// All of them, in the order they began; each look goes on where the last one ended. After an error, and after a look
    /// that was given up, the next one finds what this one missed.
    async fn look(&mut self) -> Result<Vec<MachineTask>>;
}

/// Where there is no cluster.
pub struct NoMachines;

#[async_trait]
impl TaskFeed for NoMachines {
    async fn look(&mut self) -> Result<Vec<MachineTask>> {
        Ok(vec![])
    }
}

#[async_trait]
impl TaskNotes for NoMachines {
    async fn tell(&self, _session: SessionId, _news: &TaskNews) -> Result<bool> {
        Ok(true)
    }
}

#[async_trait]
impl Machines for NoMachines {
    fn access(&self) -> Option<(String, String)> {
        None
    }

    async fn machines(&self) -> Result<Vec<Machine>> {
        Ok(vec![])
    }

    fn follow<'a>(&'a self, _vmids: &[u32], _since: Timestamp) -> Box<dyn TaskFeed + 'a> {
        Box::new(Self)
    }

    async fn delete(&self, _vmid: u32) -> Result<()> {
        Err(Error::conflict("machines.none", "No Proxmox VE is configured."))
    }
}
