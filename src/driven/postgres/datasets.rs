//! Rows that flows store.

use async_trait::async_trait;
use flow_domain::datasets::{Datasets, Row};
use flow_domain::{Error, Result, RunId};
use tokio_postgres::types::Json;

use super::error;
use super::pool::{PgPool, column, execute, query_opt};

/// Makes the part or locks the one that is there; a part stored again keeps its place in the dataset.
const PART: &str = "
    insert into dataset_part (dataset, run_id, step) values ($1::text, $2::uuid, $3::text)
    on conflict (dataset, run_id, step) do update set stored_at = now()
    returning id";
const FIND_PART: &str = "
    select id from dataset_part where dataset = $1::text and run_id = $2::uuid and step = $3::text for update";
const REMOVE_PART: &str = "delete from dataset_part where id = $1::bigint";
const REMOVE_ROWS: &str = "delete from dataset_row where part_id = $1::bigint";
const ADD_ROWS: &str = "
    insert into dataset_row (part_id, position, content)
    select $1::bigint, given.position, given.content
    from unnest($2::jsonb[]) with ordinality as given (content, position)";
const ROWS: &str = "
    select stored.content from dataset_part as part
    join dataset_row as stored on stored.part_id = part.id
    where part.dataset = $1::text
    order by part.id, stored.position
    limit $2::bigint";

#[derive(Clone)]
pub struct PgDatasets {
    pool: PgPool,
}

impl PgDatasets {
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

#[async_trait]
impl Datasets for PgDatasets {
    async fn put(&self, dataset: &str, run: RunId, step: &str, rows: Vec<Row>) -> Result<u64> {
        let mut client = self.pool.client().await?;
        let transaction = client.transaction().await.map_err(error::from)?;
        let part: i64 = query_opt(&transaction, PART, &[&dataset, &run.0, &step])
            .await?
            .ok_or_else(|| Error::internal("storing a part of a dataset answered no row"))
            .and_then(|row| column(&row, "id"))?;
        execute(&transaction, REMOVE_ROWS, &[&part]).await?;
        let rows: Vec<Json<Row>> = rows.into_iter().map(Json).collect();
        let stored = execute(&transaction, ADD_ROWS, &[&part, &rows]).await?;
        transaction.commit().await.map_err(error::from)?;
        Ok(stored)
    }

    async fn remove(&self, dataset: &str, run: RunId, step: &str) -> Result<u64> {
        let mut client = self.pool.client().await?;
        let transaction = client.transaction().await.map_err(error::from)?;
        let Some(row) = query_opt(&transaction, FIND_PART, &[&dataset, &run.0, &step]).await? else {
            return Ok(0);
        };
        let part: i64 = column(&row, "id")?;
        let removed = execute(&transaction, REMOVE_ROWS, &[&part]).await?;
        execute(&transaction, REMOVE_PART, &[&part]).await?;
        transaction.commit().await.map_err(error::from)?;
        Ok(removed)
    }

    async fn rows(&self, dataset: &str, limit: i64) -> Result<Vec<Row>> {
        let rows = self.pool.query(ROWS, &[&dataset, &limit.max(0)]).await?;
        rows.iter().map(|row| column::<Json<Row>>(row, "content").map(|Json(content)| content)).collect()
    }
}
