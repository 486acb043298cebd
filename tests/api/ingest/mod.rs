//! Files into tables, through the whole service: what is in them, and what is in the table at the end.

mod at_once;
mod bench;
mod files;
mod hostile;

pub use bench::{Bench, HEADER, excerpt};
