//! Flow Manager.

pub mod driven;
pub mod driver;
