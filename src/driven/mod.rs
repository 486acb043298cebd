//! Whom we call: the adapters that fill the domain's ports.

pub mod credentials;
pub mod memory;
pub mod postgres;
