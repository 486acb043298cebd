//! Datasets in memory.

use std::sync::Mutex;

use async_trait::async_trait;

use super::held;
use crate::datasets::{Datasets, Row};
use crate::{Result, RunId};

struct Stored {
    dataset: String,
    run: RunId,
    step: String,
    row: Row,
}

impl Stored {
    fn is_of(&self, dataset: &str, run: RunId, step: &str) -> bool {
        self.dataset == dataset && self.run == run && self.step == step
    }
}

#[derive(Default)]
pub struct MemoryDatasets {
    rows: Mutex<Vec<Stored>>,
}

#[async_trait]
impl Datasets for MemoryDatasets {
    async fn put(&self, dataset: &str, run: RunId, step: &str, rows: Vec<Row>) -> Result<u64> {
        let mut all = held(&self.rows);
        all.retain(|stored| !stored.is_of(dataset, run, step));
        let count = rows.len() as u64;
        all.extend(rows.into_iter().map(|row| Stored {
            dataset: dataset.to_owned(),
            run,
            step: step.to_owned(),
            row,
        }));
        Ok(count)
    }

    async fn remove(&self, dataset: &str, run: RunId, step: &str) -> Result<u64> {
        let mut all = held(&self.rows);
        let before = all.len();
        all.retain(|stored| !stored.is_of(dataset, run, step));
        Ok((before - all.len()) as u64)
    }

    async fn rows(&self, dataset: &str, limit: i64) -> Result<Vec<Row>> {
        let most = usize::try_from(limit).unwrap_or(0);
        let all = held(&self.rows);
        Ok(all
            .iter()
            .filter(|stored| stored.dataset == dataset)
            .take(most)
            .map(|stored| stored.row.clone())
            .collect())
    }
}
