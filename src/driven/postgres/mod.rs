//! PostgreSQL.

pub mod embedded;
pub mod probe;
