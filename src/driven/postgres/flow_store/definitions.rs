//! Definitions that this process has at hand.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flow_domain::flows::definition::Definition;

/// Each run of a posted definition may bring a new one.
const MOST: usize = 1000;

struct Known {
    definition: Arc<Definition>,
    /// The database was told that runs of it are started here: so it is kept there for some days at least.
    told: bool,
}

#[derive(Default)]
pub(super) struct Definitions(Mutex<HashMap<Arc<str>, Known>>);

impl Definitions {
    pub(super) fn get(&self, hash: &str) -> Option<Arc<Definition>> {
        self.lock().get(hash).map(|known| known.definition.clone())
    }

    pub(super) fn is_told(&self, hash: &str) -> bool {
        self.lock().get(hash).is_some_and(|known| known.told)
    }

    pub(super) fn remember(&self, hash: &Arc<str>, definition: &Arc<Definition>, told: bool) {
        let mut known = self.lock();
        if known.len() >= MOST {
            known.clear();
        }
        let told = told || known.get(hash).is_some_and(|known| known.told);
        known.insert(hash.clone(), Known { definition: definition.clone(), told });
    }

    /// From now on the database is told anew of each that a run is started of.
    pub(super) fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
