//! Looks for machines that should not be there, and for those that should.

use std::sync::Arc;

use serde_json::Value;
use uuid::Uuid;

use super::{Ledger, Machine, Machines, Orphan, OrphanKind, Reserved, compare};
use crate::labs::{SessionStatus, StateCopies};
use crate::{Error, Result};

/// Which machines are labs': those of the pool, and those with an id of the range.
#[derive(Clone, Debug)]
pub struct OfLabs {
    pub pool: String,
    pub first: u32,
    pub last: u32,
}

impl OfLabs {
    /// By their ids alone: a pool may have the template in it.
    fn has(&self, machine: &Machine) -> bool {
        (self.first..=self.last).contains(&machine.vmid)
    }
}

pub struct Orphans {
    machines: Arc<dyn Machines>,
    ledger: Arc<dyn Ledger>,
    states: Arc<dyn StateCopies>,
    of_labs: OfLabs,
}

impl Orphans {
    pub fn new(
        machines: Arc<dyn Machines>,
        ledger: Arc<dyn Ledger>,
        states: Arc<dyn StateCopies>,
        of_labs: OfLabs,
    ) -> Self {
        Self { machines, ledger, states, of_labs }
    }

    /// Whether there is a cluster at all.
    pub fn has_cluster(&self) -> bool {
        self.machines.access().is_some()
    }

    /// Compares the cluster with what the sessions have; what is there then.
    pub async fn sweep(&self) -> Result<Vec<Orphan>> {
        if !self.has_cluster() {
            return Ok(vec![]);
        }
        // The cluster is asked between: what is reserved or made meanwhile belongs to a session that moves.
        let before = self.ledger.reserved().await?;
        let machines = self.machines.machines().await?;
        let now = self.ledger.reserved().await?;
        let over = |it: &&Reserved| !now.iter().any(|now| now.reservation.session == it.reservation.session);
        // It ended while we looked, and its machines were perhaps still seen.
        let moving = |it: &Reserved| Reserved { status: SessionStatus::Launching, ..it.clone() };
        let mut states: Vec<_> = before.iter().filter(over).map(|it| (moving(it), None)).collect();
        for mut reserved in now {
            let session = reserved.reservation.session;
            let was = before.iter().find(|it| it.reservation.session == session);
            match was {
                Some(was) if was.status == reserved.status => {}
                // It moved while we looked: the next look tells.
                _ => reserved.status = SessionStatus::Launching,
            }
            let copy = self.states.latest(session).await?;
            let state = copy.map(|copy| serde_json::from_slice::<Value>(&copy.bytes));
            let state = state.transpose().unwrap_or_else(|_| {
                // What it has nobody can say: its machines are nobody's strays.
                reserved.status = SessionStatus::Launching;
                None
            });
            states.push((reserved, state));
        }
        let found = compare(&machines, &states, |machine| self.of_labs.has(machine));
        self.ledger.settle(&found).await?;
        self.ledger.orphans().await
    }

    /// Removes the machine, after a last look whether it still is an orphan. One that is not in Proxmox is dealt with by
    /// knowing it.
    pub async fn delete(&self, id: Uuid) -> Result<Orphan> {
        let unknown = || Error::not_found("orphan.unknown", "There is no such orphan, or not any more.");
        let orphan = self.sweep().await?.into_iter().find(|orphan| orphan.id == id).ok_or_else(unknown)?;
        if orphan.kind == OrphanKind::NotInState {
            self.machines.delete(orphan.vmid).await?;
            log::info!("the orphaned machine {} is removed", orphan.vmid);
        }
        self.ledger.forget(id).await?;
        Ok(orphan)
    }
}

#[cfg(test)]
mod tests;
