//! The only place where drivers, domain and driven meet.

pub mod check;
mod database;

use std::net::SocketAddr;

use tokio::signal::unix::{SignalKind, signal};

use crate::config::Config;
use crate::driven::start_error::StartError;
use crate::driven::state_dir::StateDir;
use crate::driver::cli::banner;
pub use database::Database;

/// Serves until it is told to stop.
pub fn serve(config: Config) -> Result<(), StartError> {
    let failed = |error| StartError::new("The runtime cannot be started.").because(error);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(failed)?;
    runtime.block_on(async {
        // Before anything is started, so that a Ctrl-C at any moment stops what was.
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let settings = config.clone();
        let (state, database) = tokio::task::spawn_blocking(move || {
            let state = StateDir::open(settings.state.dir.as_deref())?;
            let database = Database::open(&settings, &state)?;
            Ok::<_, StartError>((state, database))
        })
        .await
        .map_err(|error| StartError::new("The start was cut short.").because(error))??;
        println!("{}", banner(SocketAddr::new(config.server.address, config.server.port), None));
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tokio::task::spawn_blocking(move || database.close())
            .await
            .map_err(|error| StartError::new("The stop was cut short.").because(error))??;
        drop(state);
        Ok(())
    })
}

/// Brings the database to this version's schema.
pub fn migrate(config: Config) -> Result<(), StartError> {
    let state = StateDir::open(config.state.dir.as_deref())?;
    Database::open(&config, &state)?.close()
}
