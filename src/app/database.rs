//! The database the settings name: a server elsewhere, or the private one.

use crate::config::Config;
use crate::driven::postgres::embedded::Embedded;
use crate::driven::postgres::tls;
use crate::driven::start_error::StartError;
use crate::driven::state_dir::StateDir;

/// How to reach it, and the private server if it is ours to stop.
#[derive(Debug)]
pub struct Database {
    pub config: tokio_postgres::Config,
    pub embedded: Option<Embedded>,
}

impl Database {
    /// Starts the private server, unless `database.url` names another, which is not contacted here. Blocks.
    pub fn open(config: &Config, state: &StateDir) -> Result<Self, StartError> {
        if config.database.url.is_none() {
            let embedded = Embedded::start(state, config.database.bin_dir.as_deref())?;
            return Ok(Self { config: embedded.config(), embedded: Some(embedded) });
        }
        Ok(Self { config: Self::configured(config)?, embedded: None })
    }

    /// The server that `database.url` names; it is not contacted here.
    pub fn configured(config: &Config) -> Result<tokio_postgres::Config, StartError> {
        let url = config.database.url.as_ref().map_or("", |url| url.expose());
        tls::address(url, config.database.ca_file.as_deref()).map_err(StartError::new)
    }

    /// Stops the private server, if it is one. Blocks.
    pub fn close(self) -> Result<(), StartError> {
        self.embedded.map_or(Ok(()), Embedded::stop)
    }
}
