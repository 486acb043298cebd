//! Tests of the whole service and of its adapters, in one binary: it links once and shares one PostgreSQL.

mod cli;
mod contract;
mod engine;
mod faults;
mod flows;
mod gateway;
mod harness;
mod ingest;
mod labs;
mod layers;
mod observability;
mod openid;
mod postgres;
mod power_plants;
mod programs;
mod proxmox;
mod queue;
mod rooms;
mod scale_out;
mod security;
mod terraform;
mod vault;
mod workers;
