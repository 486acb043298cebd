//! What a newcomer finds in the demo: an excerpt of the power plants.

use std::path::Path;

use flow_domain::ingest::Ingest;
use flow_domain::{Error, Result};

const DATASET: &str = "power-plants";

/// Puts the files of `config/demo` into the folder of objects, where they are not there yet, and loads them.
pub(super) async fn fill(config: &Path, state: &Path, ingest: &Ingest) -> Result<()> {
    let (from, to) = (config.join("demo").join(DATASET), state.join("objects").join(DATASET));
    // An operator may do without.
    let Ok(files) = std::fs::read_dir(&from) else { return Ok(()) };
    std::fs::create_dir_all(&to).map_err(Error::internal)?;
    for file in files.flatten() {
        let place = to.join(file.file_name());
        if !place.exists() {
            std::fs::copy(file.path(), place).map_err(Error::internal)?;
        }
    }
    ingest.load_here(DATASET).await
}
