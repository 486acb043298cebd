//! The database as a command finds it, which a service may be using at the same time.

use std::time::Duration;

use flow_domain::Error;
use tokio_postgres::Config as PgConfig;

use super::database::Database;
use crate::config::Config;
use crate::driven::postgres::embedded::Embedded;
use crate::driven::postgres::migrate::{MIGRATIONS, migrate_blocking};
use crate::driven::start_error::StartError;
use crate::driven::state_dir::{self, StateDir};

/// Does `work` on the database, brought to this version's schema and, if it is the private one, started for that.
pub(super) fn with_database<T>(
    config: &Config,
    work: impl AsyncFnOnce(&PgConfig) -> Result<T, Error>,
) -> Result<T, StartError> {
    let said = |error: Error| StartError { sentence: error.public, cause: error.cause };
    let place = Place::find(config)?;
    migrate_blocking(place.config().clone(), MIGRATIONS).map_err(said)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime =
        runtime.map_err(|error| StartError::new("The runtime cannot be started.").because(error))?;
    let done = runtime.block_on(work(place.config()));
    runtime.shutdown_timeout(Duration::from_secs(1));
    place.close()?;
    done.map_err(said)
}

/// Where it is.
enum Place {
    /// A configured server, or the private one of a service that runs.
    Elsewhere(Box<PgConfig>),
    /// The private one, started for this; the state directory is ours until it is stopped.
    Here(Box<Database>, StateDir),
}

impl Place {
    fn find(config: &Config) -> Result<Self, StartError> {
        if config.database.url.is_none() {
            let state = config.state.dir.clone().unwrap_or_else(state_dir::default_path);
            if let Some(running) = Embedded::running(&state) {
                return Ok(Self::Elsewhere(Box::new(running)));
            }
            let state = StateDir::open(Some(&state))?;
            return Ok(Self::Here(Box::new(Database::open(config, &state)?), state));
        }
        Database::configured(config).map(|config| Self::Elsewhere(Box::new(config)))
    }

    fn config(&self) -> &PgConfig {
        match self {
            Self::Elsewhere(config) => config,
            Self::Here(database, _) => &database.config,
        }
    }

    fn close(self) -> Result<(), StartError> {
        match self {
            Self::Elsewhere(_) => Ok(()),
            Self::Here(database, _state) => database.close(),
        }
    }
}
