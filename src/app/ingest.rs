//! Datasets, where their files are, and where their rows go.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use flow_domain::cache::Cache;
use flow_domain::ingest::{Dataset, Ingest};
use flow_domain::power_plants::PlantDesk;

use super::stores::Stores;
use crate::config::Config;
use crate::driven::objects::{ObjectsSettings, open};
use crate::driven::postgres::{PgIngest, PgPowerPlants};

/// Held in memory about three times over while it is loaded.
const CHUNK_BYTES: u64 = 4 << 20;

pub(super) fn ingest(config: &Config, stores: &Stores) -> Result<Ingest, String> {
    let objects = &config.objects;
    let own = || format!("file://{}", stores.state.path().join("objects").display());
    let expose = |secret: &crate::config::Secret| secret.expose().to_owned();
    let settings = ObjectsSettings {
        url: objects.url.clone().unwrap_or_else(own),
        endpoint: objects.endpoint.clone(),
        region: objects.region.clone(),
        keys: objects.access_key.as_ref().map(expose).zip(objects.secret_key.as_ref().map(expose)),
    };
    Ok(Ingest {
        datasets: read_datasets(&config.config.dir.join("datasets"))?,
        objects: Arc::new(open(&settings)?),
        store: Arc::new(PgIngest::new(stores.pool.clone())),
        chunk_bytes: CHUNK_BYTES,
    })
}

pub(super) fn plants(stores: &Stores, cache: Arc<dyn Cache>) -> Arc<PlantDesk> {
    let plants = Arc::new(PgPowerPlants::new(stores.pool.clone(), stores.session.clone()));
    Arc::new(PlantDesk::new(plants.clone(), plants, cache))
}

/// Every `NAME.toml` of the folder; without it there are none. The error is every fault, a line each.
pub fn read_datasets(folder: &Path) -> Result<BTreeMap<String, Arc<Dataset>>, String> {
    let mut datasets = BTreeMap::new();
    let mut faults = vec![];
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(datasets) };
    for path in entries.flatten().map(|entry| entry.path()) {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let Some(name) = name.strip_suffix(".toml") else { continue };
        let read = std::fs::read_to_string(&path).map_err(|error| vec![error.to_string()]);
        match read.and_then(|toml| Dataset::read(name, &toml)) {
            Ok(dataset) => drop(datasets.insert(name.to_owned(), Arc::new(dataset))),
            Err(wrong) => {
                faults.extend(wrong.iter().map(|fault| format!("datasets/{name}.toml: {fault}.")));
            }
        }
    }
    if faults.is_empty() { Ok(datasets) } else { Err(faults.join("\n")) }
}
