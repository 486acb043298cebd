//! Files into tables, through the whole service: what is in them, and what is in the table at the end.

mod bench;
mod files;

pub use bench::{Bench, HEADER, excerpt};
