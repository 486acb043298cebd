//! The domain of Flow Manager: flows, runs, tasks, users, labs and rooms.
//!
//! Nothing here knows HTTP or SQL. What the domain needs from outside it names as a port, a trait in
//! [`ports`] or beside its subject ([`flows::FlowStore`]); the adapters live in the service crate.

pub mod cache;
pub mod cancel;
pub mod clock;
pub mod datasets;
pub mod error;
pub mod flows;
pub mod health;
mod hex;
mod ids;
pub mod ingest;
pub mod labs;
pub mod meters;
pub mod objects;
pub mod openid;
pub mod ports;
pub mod power_plants;
pub mod queue;
pub mod rooms;
pub mod sealed;
pub mod testing;
pub mod trace;
pub mod users;

pub use cancel::{Cancel, CancelSignal};
pub use error::{Error, Fault, Kind, Result};
pub use hex::hex;
pub use ids::{EventId, FamilyId, RunId, SessionId, UserId, WorkerId};
