//! Flow Manager.

pub mod app;
pub mod config;
pub mod driven;
pub mod driver;
pub mod logging;
