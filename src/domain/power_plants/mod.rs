//! Questions about the power plants of the dataset `power-plants`, answered from the cache where it can.

mod aside;
mod states;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Serialize;

use crate::cache::Cache;
use crate::{Error, Result, hex};
use aside::Aside;
use sha2::{Digest, Sha256};

pub use aside::{Found, From};
pub use states::name_of;

const DATASET: &str = "power-plants";
/// An ingest makes older answers void at once; this bounds what a replica that misses the news can still tell.
const CACHED_FOR: Duration = Duration::from_secs(60);
/// Between attempts to learn the version while the database is away.
const AWAY: Duration = Duration::from_secs(1);

/// Which plants, normalised: one question has one form.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TopQuery {
    /// On one page.
    pub limit: u32,
    /// From 1.
    pub page: u32,
    /// Two capital letters.
    pub state: Option<String>,
    pub year: Option<i32>,
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "PowerPlant")]
pub struct Plant {
    pub plant_name: String,
    /// Two letters.
    pub state: String,
    /// MWh in that year; negative for a plant that draws more than it feeds.
    pub net_generation: Option<f64>,
    pub primary_fuel: Option<String>,
    pub year: i32,
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "PowerPlants")]
pub struct TopPage {
    /// By net generation, the largest first.
    pub data: Vec<Plant>,
    /// On all pages.
    pub total: u64,
    pub page: u32,
    pub limit: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct State {
    /// Two letters.
    pub code: String,
    pub name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct States {
    /// That have plants, by name.
    pub states: Vec<State>,
}

/// Where the plants are.
#[async_trait]
pub trait PowerPlants: Send + Sync {
    /// A page of them, and how many there are.
    async fn top(&self, query: &TopQuery) -> Result<(Vec<Plant>, u64)>;

    /// The codes of the states that have any.
    async fn states(&self) -> Result<Vec<String>>;
}

/// How often a dataset was changed: another number tells that what was read before may be out of date.
#[async_trait]
pub trait DatasetVersions: Send + Sync {
    async fn version(&self, dataset: &str) -> Result<i64>;

    /// Returns when a version may be another; without reason at times.
    async fn changed(&self);
}

/// Answers by HTTP's leave: bytes of JSON and a strong validator of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedAnswer {
    pub body: Vec<u8>,
    /// With its quotes.
    pub etag: String,
    pub from: From,
}

pub struct PlantDesk {
    plants: Arc<dyn PowerPlants>,
    versions: Arc<dyn DatasetVersions>,
    aside: Aside,
    /// Negative until it is known.
    version: AtomicI64,
}

impl PlantDesk {
    pub fn new(
        plants: Arc<dyn PowerPlants>,
        versions: Arc<dyn DatasetVersions>,
        cache: Arc<dyn Cache>,
    ) -> Self {
        Self { plants, versions, aside: Aside::new(cache, CACHED_FOR), version: AtomicI64::new(-1) }
    }

    /// Hears of each change, for ever. Answers of another version have other keys, so none is found again.
    pub async fn follow(self: Arc<Self>) {
        loop {
            match self.versions.version(DATASET).await {
                Ok(version) => self.version.store(version, Ordering::Release),
                Err(error) => {
                    log::debug!("the version of the power plants is not known: {error}");
                    tokio::time::sleep(AWAY).await;
                    continue;
                }
            }
            self.versions.changed().await;
        }
    }

    pub async fn top(&self, query: TopQuery) -> Result<CachedAnswer> {
        let TopQuery { limit, page, state, year } = &query;
        let text = |value: Option<String>| value.unwrap_or_else(|| "*".to_owned());
        let (state, year) = (text(state.clone()), text(year.map(|year| year.to_string())));
        let key = self.key(&format!("top:{state}:{year}:{limit}:{page}")).await?;
        let plants = self.plants.clone();
        let make = async move {
            let (data, total) = plants.top(&query).await?;
            packed(&TopPage { data, total, page: query.page, limit: query.limit })
        };
        unpacked(self.aside.get(key, make).await?)
    }

    pub async fn states(&self) -> Result<CachedAnswer> {
        let key = self.key("states").await?;
        let plants = self.plants.clone();
        let make = async move {
            let state = |code: String| State { name: name_of(&code).unwrap_or(&code).to_owned(), code };
            let mut states: Vec<State> = plants.states().await?.into_iter().map(state).collect();
            states.sort_by(|one, other| one.name.cmp(&other.name));
            packed(&States { states })
        };
        unpacked(self.aside.get(key, make).await?)
    }

    async fn key(&self, question: &str) -> Result<String> {
        let known = self.version.load(Ordering::Acquire);
        let version = if known < 0 { self.versions.version(DATASET).await? } else { known };
        Ok(format!("{DATASET}:{version}:{question}"))
    }
}

/// The validator, a line's end, and the JSON.
fn packed(value: &impl Serialize) -> Result<Vec<u8>> {
    let body = serde_json::to_vec(value).map_err(Error::internal)?;
    let hash = hex(&Sha256::digest(&body)[..16]);
    Ok([format!("\"{hash}\"\n").as_bytes(), &body].concat())
}

fn unpacked(Found { bytes, from }: Found) -> Result<CachedAnswer> {
    let strange = || Error::internal("a cached answer has no validator");
    let end = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(strange)?;
    let etag = std::str::from_utf8(&bytes[..end]).map_err(Error::internal)?;
    Ok(CachedAnswer { body: bytes[end + 1..].to_vec(), etag: etag.to_owned(), from })
}
