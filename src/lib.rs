//! Flow Manager.

pub mod driven;
