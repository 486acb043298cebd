//! Whom we call: adapters of the domain's ports.

pub mod process;
pub mod terraform;
