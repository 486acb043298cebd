//! Flow Manager.

pub mod config;
pub mod driven;
pub mod logging;
