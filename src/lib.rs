//! Flow Manager.

pub mod config;
pub mod logging;
