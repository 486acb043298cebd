//! Rows that flows store.

use std::sync::Mutex;

use crate::datasets::{Datasets, Row};
use crate::{Error, Kind, Result, RunId};
use async_trait::async_trait;
use serde_json::Value;

use super::flow_store::effect;
use super::held;

struct Part {
    dataset: String,
    run: RunId,
    step: String,
    rows: Vec<Row>,
}

impl Part {
    fn is(&self, dataset: &str, run: RunId, step: &str) -> bool {
        self.dataset == dataset && self.run == run && self.step == step
    }
}

#[derive(Default)]
pub struct MemoryDatasets {
    parts: Mutex<Vec<Part>>,
}

impl MemoryDatasets {
    /// Rows of all datasets.
    pub fn count(&self) -> usize {
        held(&self.parts).iter().map(|part| part.rows.len()).sum()
    }
}

#[async_trait]
impl Datasets for MemoryDatasets {
    async fn put(&self, dataset: &str, run: RunId, step: &str, rows: Vec<Row>) -> Result<u64> {
        effect().await;
        if rows.iter().any(row_has_nul) {
            let sentence = "Text with a NUL character cannot be stored.";
            return Err(Error::new(Kind::Invalid, "value.nul_character", sentence));
        }
        let count = rows.len() as u64;
        let mut parts = held(&self.parts);
        match parts.iter_mut().find(|part| part.is(dataset, run, step)) {
            Some(part) => part.rows = rows,
            None => parts.push(Part { dataset: dataset.into(), run, step: step.into(), rows }),
        }
        Ok(count)
    }

    async fn remove(&self, dataset: &str, run: RunId, step: &str) -> Result<u64> {
        effect().await;
        let mut parts = held(&self.parts);
        let found = parts.iter().position(|part| part.is(dataset, run, step));
        Ok(found.map_or(0, |index| parts.remove(index).rows.len() as u64))
    }

    async fn rows(&self, dataset: &str, limit: i64) -> Result<Vec<Row>> {
        let parts = held(&self.parts);
        let rows = parts.iter().filter(|part| part.dataset == dataset).flat_map(|part| &part.rows);
        Ok(rows.take(usize::try_from(limit).unwrap_or(0)).cloned().collect())
    }
}

fn row_has_nul(row: &Row) -> bool {
    row.iter().any(|(key, value)| key.contains('\0') || has_nul(value))
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(row) => row_has_nul(row),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
