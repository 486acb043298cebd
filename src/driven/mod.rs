//! Whom we call: the adapters of the domain's ports.

pub mod http_client;
pub mod workspaces;
