//! Reserved machines, and those that are nobody's. Whether a session is over, its sessions say.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use uuid::Uuid;

use super::held;
use crate::labs::LabSessions;
use crate::labs::machines::{Found, Ledger, Orphan, Reservation, Reserved};
use crate::{Error, Result, SessionId, clock};

pub struct MemoryLedger {
    sessions: Arc<dyn LabSessions>,
    /// The pool that machines of labs are in, and the range of their ids.
    machines: (String, u32, u32),
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    held: Vec<Held>,
    /// How many were freed: the next one's number.
    freed: u64,
    orphans: Vec<Orphan>,
}

/// An id, by whom it was reserved, and as which one it was free again.
#[derive(Clone, Copy)]
struct Held {
    vmid: u32,
    session: SessionId,
    freed: Option<u64>,
}

impl Kept {
    fn of(&self, session: SessionId) -> Vec<u32> {
        let mut vmids: Vec<u32> = self.live().filter(|it| it.session == session).map(|it| it.vmid).collect();
        vmids.sort_unstable();
        vmids
    }

    fn live(&self) -> impl Iterator<Item = &Held> {
        self.held.iter().filter(|held| held.freed.is_none())
    }

    /// Ids that nobody has: those that were free the longest come first.
    fn free(&self, first: u32, last: u32) -> Vec<u32> {
        let taken = |vmid: &u32| {
            self.live().any(|held| held.vmid == *vmid) || self.orphans.iter().any(|it| it.vmid == *vmid)
        };
        let freed = |vmid: &u32| self.held.iter().filter(|it| it.vmid == *vmid).map(|it| it.freed).max();
        let mut free: Vec<u32> = (first..=last).filter(|vmid| !taken(vmid)).collect();
        free.sort_by_key(|vmid| (freed(vmid).flatten(), *vmid));
        free
    }
}

impl MemoryLedger {
    pub fn new(sessions: Arc<dyn LabSessions>, machines: (String, u32, u32)) -> Self {
        Self { sessions, machines, kept: Mutex::default() }
    }

    /// What sessions had that are over is free, from their end on.
    async fn settle_sessions(&self) -> Result<()> {
        let live: Vec<SessionId> = held(&self.kept).live().map(|it| it.session).collect();
        let mut over = Vec::new();
        for id in live {
            let ended = self.sessions.session(id).await?.and_then(|session| session.ended_at);
            over.extend(ended.map(|at| (at, id)));
        }
        over.sort_unstable();
        let mut kept = held(&self.kept);
        for (_, id) in over {
            kept.freed += 1;
            let number = kept.freed;
            let its = kept.held.iter_mut().filter(|it| it.session == id && it.freed.is_none());
            its.for_each(|it| it.freed = Some(number));
        }
        Ok(())
    }

    fn reservation_of(&self, session: SessionId, vmids: Vec<u32>) -> Reservation {
        Reservation { session, vmids, pool: self.machines.0.clone(), tag: format!("fm-{session}") }
    }
}

#[async_trait]
impl Ledger for MemoryLedger {
    async fn reserve(&self, session: SessionId, count: u32) -> Result<Reservation> {
        self.settle_sessions().await?;
        let open = self.sessions.session(session).await?.is_some_and(|session| session.ended_at.is_none());
        if !open {
            return Err(Error::conflict("session.ended", "This session is over."));
        }
        let (_, first, last) = self.machines;
        let mut kept = held(&self.kept);
        let mut vmids = kept.of(session);
        let missing = (count as usize).saturating_sub(vmids.len());
        let new: Vec<u32> = kept.free(first, last).into_iter().take(missing).collect();
        if new.len() < missing {
            let public = "There is no room for more machines at the moment; try again later.";
            return Err(Error::conflict("machines.none_free", public));
        }
        kept.held.extend(new.iter().map(|vmid| Held { vmid: *vmid, session, freed: None }));
        vmids.extend(new);
        vmids.sort_unstable();
        vmids.truncate(count as usize);
        Ok(self.reservation_of(session, vmids))
    }

    async fn reservation(&self, session: SessionId) -> Result<Option<Reservation>> {
        self.settle_sessions().await?;
        let vmids = held(&self.kept).of(session);
        Ok((!vmids.is_empty()).then(|| self.reservation_of(session, vmids)))
    }

    async fn reserved(&self) -> Result<Vec<Reserved>> {
        self.settle_sessions().await?;
        let mut ids: Vec<SessionId> = held(&self.kept).live().map(|it| it.session).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut reserved = Vec::new();
        for id in ids {
            let Some(session) = self.sessions.session(id).await? else { continue };
            let reservation = self.reservation_of(id, held(&self.kept).of(id));
            reserved.push(Reserved { reservation, status: session.status });
        }
        Ok(reserved)
    }

    async fn settle(&self, found: &[Found]) -> Result<()> {
        let mut kept = held(&self.kept);
        let now = clock::now();
        let mut orphans = Vec::new();
        for Found { kind, vmid, name, node, session } in found.iter().cloned() {
            let known = kept.orphans.iter().find(|it| it.kind == kind && it.vmid == vmid);
            let (id, found_at) = known.map_or_else(|| (Uuid::now_v7(), now), |it| (it.id, it.found_at));
            orphans.retain(|it: &Orphan| it.kind != kind || it.vmid != vmid);
            orphans.push(Orphan { id, kind, vmid, name, node, session, found_at, seen_at: now });
        }
        orphans.sort_by_key(|it| (it.found_at, it.vmid));
        kept.orphans = orphans;
        Ok(())
    }

    async fn orphans(&self) -> Result<Vec<Orphan>> {
        Ok(held(&self.kept).orphans.clone())
    }

    async fn forget(&self, id: Uuid) -> Result<()> {
        held(&self.kept).orphans.retain(|orphan| orphan.id != id);
        Ok(())
    }
}
