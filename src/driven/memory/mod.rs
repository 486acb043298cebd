//! Adapters without a database, for tests: each passes the contract suite of its PostgreSQL twin.

mod identities;
mod lab_times;
mod queue;
mod rooms;
mod schedules;
mod state_copies;
mod timelines;

pub use identities::{MemoryIdentities, MemorySignInJournal};
pub use lab_times::MemoryLabTimes;
pub use queue::MemoryQueue;
pub use rooms::MemoryRoomStore;
pub use schedules::MemorySchedules;
pub use state_copies::MemoryStateCopies;
pub use timelines::MemoryTimelines;
// The domain keeps these for the tests of tasks.
pub use flow_domain::testing::{
    MemoryDatasets, MemoryFlowStore, MemoryGradeEvidence, MemoryLabSessions, MemoryLedger, MemoryLogins,
    MemoryRevocations, MemoryStepChecks, MemoryUsers,
};

use std::sync::{Mutex, MutexGuard};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nothing panics while it holds this lock")
}
