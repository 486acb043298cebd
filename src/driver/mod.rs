//! Who calls us.

pub mod cli;
