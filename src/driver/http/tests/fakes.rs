//! Rooms, labs and machines of these tests: there are none.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use flow_domain::flows::Flows;
use flow_domain::labs::Labs;
use flow_domain::labs::machines::{NoMachines, OfLabs, Orphans};
use flow_domain::rooms::{History, RoomSettings, Rooms};
use flow_domain::testing::{Refusing, TestContext};

use crate::driven::memory::{MemoryLabSessions, MemoryRoomStore, MemoryStateCopies, MemoryTimelines};

/// Nobody in them.
pub(super) fn rooms() -> Arc<Rooms> {
    let history = History { messages: 1000, age: Duration::from_secs(3600) };
    let settings = RoomSettings { history, posts_per_minute: NonZeroU32::MAX };
    let sessions = Arc::new(MemoryLabSessions::default());
    Arc::new(Rooms::new(Arc::new(MemoryRoomStore::default()), sessions, settings))
}

/// No lab, over sessions in memory.
pub(super) fn labs(flows: Arc<Flows>) -> Arc<Labs> {
    let ports = TestContext::new().ports;
    let (sessions, timelines) = (Arc::<MemoryLabSessions>::default(), Arc::<MemoryTimelines>::default());
    Arc::new(Labs::new(flows, ports.labs, sessions, ports.evidence, ports.step_checks, timelines))
}

/// No cluster.
pub(super) fn orphans() -> Arc<Orphans> {
    let of_labs = OfLabs { pool: String::new(), first: 0, last: 0 };
    let (machines, ledger) = (Arc::new(NoMachines), Arc::new(Refusing));
    Arc::new(Orphans::new(machines, ledger, Arc::new(MemoryStateCopies::default()), of_labs))
}
