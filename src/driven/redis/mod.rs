//! Redis, which may be away at any time: what it does for others is faster with it, and as right without.

mod cache;
mod link;
mod wire;

pub use cache::RedisCache;
pub use link::{RedisLink, probe};
pub use wire::RedisWire;
