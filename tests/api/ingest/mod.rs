//! Files into tables, through the whole service: what is in them, and what is in the table at the end.

mod airflow;
mod at_once;
mod bench;
mod deaths;
mod files;
mod hostile;
mod many;
mod s3;
mod starting;

pub use bench::{Bench, HEADER, excerpt};
pub use s3::S3;
