//! PostgreSQL, 15 or later: the only place where SQL is written.

pub mod datasets;
pub mod embedded;
pub mod error;
pub mod flow_store;
pub mod grade_evidence;
pub mod keys;
pub mod lab_sessions;
pub mod lab_times;
mod listen;
pub mod logins;
pub mod migrate;
pub mod notices;
pub mod pool;
pub mod probe;
pub mod revocations;
pub mod rooms;
pub mod schedules;
pub mod state_copies;
pub mod users;

pub use datasets::PgDatasets;
pub use flow_store::PgFlowStore;
pub use grade_evidence::PgGradeEvidence;
pub use lab_sessions::PgLabSessions;
pub use lab_times::PgLabTimes;
pub use logins::PgLogins;
pub use pool::{PgPool, PoolSettings};
pub use revocations::PgRevocations;
pub use rooms::PgRoomStore;
pub use schedules::PgSchedules;
pub use state_copies::{PgStateCopies, StateKey};
pub use users::PgUsers;
