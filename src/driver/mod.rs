//! Who calls us.

pub mod cli;
pub mod event_meters;
pub mod events;
pub mod http;
pub mod schedule;
pub mod session_time;
pub mod sweep;
