//! Where the service keeps things: a configured PostgreSQL, or the private one of its state directory.

use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::Config as PgConfig;

use super::database::Database;
use crate::config::Config;
use crate::driven::postgres::pool::session_config;
use crate::driven::postgres::{PgPool, PoolSettings};
use crate::driven::sealing::StateKey;
use crate::driven::start_error::StartError;
use crate::driven::state_dir::StateDir;

/// Connections for leases alone.
const LEASE_CONNECTIONS: usize = 2;

pub(super) struct Stores {
    pub pool: PgPool,
    pub lease_pool: PgPool,
    /// For connections outside the pools, with the session's settings.
    pub session: PgConfig,
    pub state_key: Option<StateKey>,
    pub state: StateDir,
    pub database: Database,
}

impl Stores {
    /// Opens the state directory and, without a configured database, starts the private one. Blocks.
    pub(super) fn open(config: &Config) -> Result<Self, StartError> {
        let state = StateDir::open(config.state.dir.as_deref())?;
        let database = Database::open(config, &state)?;
        let state_key = match (&config.state.key, &database.embedded) {
            (Some(key), _) => Some(StateKey::new(key.bytes())),
            (None, Some(_)) => Some(StateKey::new(&state.state_key()?)),
            // Another machine could not read what this one's key encrypted.
            (None, None) => None,
        };
        let settings = PoolSettings {
            size: config.database.pool_size.get(),
            wait_timeout: Duration::from_millis(config.database.pool_wait_ms.get()),
            statement_timeout: Duration::from_millis(config.database.statement_timeout_ms.get().into()),
            ..PoolSettings::default()
        };
        let session = session_config(&database.config, &settings);
        let pool = PgPool::new(&database.config, &settings);
        let lease_pool = PgPool::new(&database.config, &PoolSettings { size: LEASE_CONNECTIONS, ..settings });
        Ok(Self { pool, lease_pool, session, state_key, state, database })
    }

    /// Stops the private PostgreSQL, if it is one.
    pub(super) async fn close(self) -> Result<(), StartError> {
        self.pool.close();
        self.lease_pool.close();
        let cut = |error| StartError::new("The stop was cut short.").because(error);
        tokio::task::spawn_blocking(move || self.database.close()).await.map_err(cut)?
    }

    /// Directories of learners.
    pub(super) fn workspaces(&self) -> PathBuf {
        self.state.path().join("workspaces")
    }
}
