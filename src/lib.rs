//! Flow Manager, a sequential task flow service: durable, undoable, watched live over plain HTTP.

pub mod app;
pub mod config;
pub mod driven;
pub mod driver;
pub mod logging;
