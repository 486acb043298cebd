//! Whom we call: adapters that fill the domain's ports.

pub mod memory;
pub mod postgres;
