//! Who calls us.

pub mod cli;
pub mod events;
pub mod http;
pub mod schedule;
pub mod session_time;
