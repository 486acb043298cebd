//! Copies of Terraform states, in clear: they never leave the process. It knows no sessions.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use flow_domain::labs::{StateCopies, StateCopy};
use flow_domain::{Result, SessionId};

use super::lock;

#[derive(Default)]
pub struct MemoryStateCopies {
    copies: Mutex<BTreeMap<SessionId, Vec<StateCopy>>>,
}

#[async_trait]
impl StateCopies for MemoryStateCopies {
    fn ready(&self) -> Result<()> {
        Ok(())
    }

    async fn keep(&self, session: SessionId, copy: StateCopy) -> Result<bool> {
        let mut copies = lock(&self.copies);
        let kept = copies.entry(session).or_default();
        if kept.iter().any(|earlier| earlier.lineage == copy.lineage && earlier.serial > copy.serial) {
            return Ok(false);
        }
        if kept.iter().max_by_key(|copy| copy.serial) == Some(&copy) {
            return Ok(false);
        }
        kept.push(copy);
        Ok(true)
    }

    async fn latest(&self, session: SessionId) -> Result<Option<StateCopy>> {
        // Of two with one serial the later is the last, and `max_by_key` answers the last.
        let copies = lock(&self.copies);
        Ok(copies.get(&session).and_then(|kept| kept.iter().max_by_key(|copy| copy.serial).cloned()))
    }
}
