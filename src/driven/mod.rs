//! Whom we call: adapters of the domain's ports.

pub mod labs;
pub mod process;
pub mod terraform;
