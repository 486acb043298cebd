//! Who calls us.

pub mod http;
