//! Logins in memory.

use std::collections::HashMap;
use std::sync::Mutex;

use async_trait::async_trait;
use jiff::Timestamp;

use super::held;
use crate::users::{Family, FamilyState, LoginStore, RefreshHash, Rotation, Verdict, judge};
use crate::{FamilyId, Result};

#[derive(Default)]
pub struct MemoryLogins {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    families: HashMap<FamilyId, (Family, FamilyState)>,
    tokens: HashMap<RefreshHash, (FamilyId, i64)>,
}

#[async_trait]
impl LoginStore for MemoryLogins {
    async fn begin(&self, family: &Family, first: &RefreshHash) -> Result<()> {
        let state = FamilyState {
            newest: 0,
            newest_at: crate::clock::now(),
            expires_at: family.expires_at,
            ended: false,
        };
        let mut kept = held(&self.kept);
        kept.families.insert(family.id, (family.clone(), state));
        kept.tokens.insert(*first, (family.id, 0));
        Ok(())
    }

    async fn rotate(&self, used: &RefreshHash, next: &RefreshHash, at: Timestamp) -> Result<Rotation> {
        let mut kept = held(&self.kept);
        let Some((id, number)) = kept.tokens.get(used).copied() else { return Ok(Rotation::Refused) };
        let Some((family, state)) = kept.families.get_mut(&id) else { return Ok(Rotation::Refused) };
        let family = family.clone();
        let given = match judge(number, state, at) {
            Verdict::Refused => return Ok(Rotation::Refused),
            Verdict::Reused => {
                state.ended = true;
                return Ok(Rotation::Reused(family));
            }
            Verdict::Again(number) => number,
            Verdict::Next(number) => {
                (state.newest, state.newest_at) = (number, at);
                number
            }
        };
        kept.tokens.insert(*next, (id, given));
        Ok(Rotation::Rotated(family))
    }

    async fn family_of(&self, token: &RefreshHash) -> Result<Option<Family>> {
        let kept = held(&self.kept);
        let family = kept.tokens.get(token).and_then(|(id, _)| kept.families.get(id));
        Ok(family.map(|(family, _)| family.clone()))
    }

    async fn end(&self, family: FamilyId) -> Result<bool> {
        let mut kept = held(&self.kept);
        let state = kept.families.get_mut(&family).map(|(_, state)| state);
        Ok(state.is_some_and(|state| !std::mem::replace(&mut state.ended, true)))
    }

    async fn forget(&self, at: Timestamp) -> Result<u64> {
        let mut kept = held(&self.kept);
        let before = kept.families.len();
        kept.families.retain(|_, (family, _)| family.expires_at > at);
        let Kept { families, tokens } = &mut *kept;
        tokens.retain(|_, (family, _)| families.contains_key(family));
        Ok((before - families.len()) as u64)
    }
}
