//! Whom we call: the adapters that fill the domain's ports.

pub mod credentials;
