//! What tests stand on: a PostgreSQL and a Redis of their own, and the service itself as a process.

mod app;
mod bao;
mod broker;
mod cable;
mod certificates;
mod cluster;
mod database;
mod pve;
mod redis;
mod terminal;

pub use app::{Answer, DEMO_PASSWORD, TestApp, free_port};
pub use bao::TestBao;
pub use broker::{Broker, broker};
pub use cable::{Cable, Cut};
pub use certificates::{Authority, Certificate};
pub use cluster::{server_programs, server_user};
pub use database::TestDb;
pub use pve::TestPve;
pub use redis::TestRedis;
pub use terminal::Terminal;
