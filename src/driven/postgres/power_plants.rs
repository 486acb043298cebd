//! Power plants, and how often their table was changed.

use std::sync::OnceLock;

use async_trait::async_trait;
use flow_domain::Result;
use flow_domain::power_plants::{DatasetVersions, Plant, PowerPlants, TopQuery};
use tokio_postgres::{Config, Row};

use super::notices::Doorbell;
use super::pool::{PgPool, column, query as query_rows, query_opt};

/// The index `power_plant_top_index` has this order.
const TOP: &str = "
    select plant_name, state, net_generation_mwh, primary_fuel, year from ingested.power_plant
    where ($1::text is null or state = $1::text) and ($2::integer is null or year = $2::integer)
    order by net_generation_mwh desc nulls last, plant_id, year
    limit $3::bigint offset $4::bigint";
const TOTAL: &str = "
    select count(*) as total from ingested.power_plant
    where ($1::text is null or state = $1::text) and ($2::integer is null or year = $2::integer)";
/// One look into the index for each state.
const STATES: &str = "
    with recursive present as (
        select min(state) as state from ingested.power_plant
        union all
        select (select min(state) from ingested.power_plant where state > present.state)
        from present where present.state is not null
    )
    select state from present where state is not null";
const VERSION: &str = "select version from dataset_version where dataset = $1::text";
const LISTEN: &str = "listen dataset_version";

pub struct PgPowerPlants {
    pool: PgPool,
    session: Config,
    bell: OnceLock<Doorbell>,
}

impl PgPowerPlants {
    /// `session` is for the connection that listens.
    pub fn new(pool: PgPool, session: Config) -> Self {
        Self { pool, session, bell: OnceLock::new() }
    }
}

#[async_trait]
impl PowerPlants for PgPowerPlants {
    async fn top(&self, query: &TopQuery) -> Result<(Vec<Plant>, u64)> {
        let (limit, skip) = (i64::from(query.limit), i64::from(query.page - 1) * i64::from(query.limit));
        let client = self.pool.client().await?;
        let page = query_rows(&client, TOP, &[&query.state, &query.year, &limit, &skip]).await?;
        let total = query_opt(&client, TOTAL, &[&query.state, &query.year]).await?;
        let total = total.map_or(Ok(0), |row| column::<i64>(&row, "total"))?;
        Ok((page.iter().map(plant).collect::<Result<_>>()?, total.unsigned_abs()))
    }

    async fn states(&self) -> Result<Vec<String>> {
        let rows = self.pool.query(STATES, &[]).await?;
        rows.iter().map(|row| column(row, "state")).collect()
    }
}

#[async_trait]
impl DatasetVersions for PgPowerPlants {
    async fn version(&self, dataset: &str) -> Result<i64> {
        let row = self.pool.query_opt(VERSION, &[&dataset]).await?;
        row.map_or(Ok(0), |row| column(&row, "version"))
    }

    async fn changed(&self) {
        self.bell.get_or_init(|| Doorbell::install(self.session.clone(), LISTEN)).rings().await;
    }
}

fn plant(row: &Row) -> Result<Plant> {
    Ok(Plant {
        plant_name: column(row, "plant_name")?,
        state: column(row, "state")?,
        net_generation: column(row, "net_generation_mwh")?,
        primary_fuel: column(row, "primary_fuel")?,
        year: column(row, "year")?,
    })
}
