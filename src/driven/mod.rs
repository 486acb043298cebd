//! Whom we call: the adapters that fill the domain's ports, and what they stand on.

pub mod archive;
pub mod attempts;
pub mod cache;
pub mod credentials;
pub mod disk;
pub mod grader;
pub mod http_client;
pub mod identity;
pub mod labs;
pub mod memory;
pub mod objects;
pub mod postgres;
pub mod process;
pub mod process_meters;
pub mod proxmox;
pub mod rabbitmq;
pub mod redis;
pub mod sealing;
pub mod secrets_file;
pub mod start_error;
pub mod state_dir;
pub mod terraform;
pub mod tls;
pub mod vault;
pub mod workspaces;
