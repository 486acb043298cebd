//! Rows that flows store: a table of the service's own, by dataset name.

use async_trait::async_trait;
use serde_json::{Map, Value};

use crate::{Result, RunId};

pub type Row = Map<String, Value>;

/// Where datasets are kept.
#[async_trait]
pub trait Datasets: Send + Sync {
    /// Replaces what this run and step stored under the dataset's name, so that storing twice stores once.
    /// Returns how many rows now stand.
    async fn put(&self, dataset: &str, run: RunId, step: &str, rows: Vec<Row>) -> Result<u64>;

    /// Takes away what this run and step stored there; how many rows went.
    async fn remove(&self, dataset: &str, run: RunId, step: &str) -> Result<u64>;

    /// All rows of a dataset, oldest first, at most `limit`.
    async fn rows(&self, dataset: &str, limit: i64) -> Result<Vec<Row>>;
}
