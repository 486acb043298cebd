//! What `serve` and `work` share, and `work` itself: the engine and the consumers of events, without the HTTP interface.

use std::sync::Arc;
use std::time::Duration;

use flow_domain::flows::FlowStore;

use super::running::{Service, StopSignals};
use super::stores::Stores;
use super::watched::Watched;
use super::{assemble, keep_memory_private};
use crate::config::Config;
use crate::driven::postgres::PgFlowStore;
use crate::driven::rabbitmq::{HintingFlowStore, Hints};
use crate::driven::start_error::StartError;
use crate::driver::http::server;

/// Runs flows that others were asked for, until SIGINT or SIGTERM. The error is one sentence.
pub fn work(mut config: Config) -> Result<(), StartError> {
    if config.database.url.is_none() {
        return Err(StartError::new(
            "A worker needs database.url: the private database is its service's own.",
        ));
    }
    config.worker.enabled = true;
    in_runtime(config, async |service, _, stop| service.work(stop).await)
}

pub(super) fn in_runtime(
    config: Config,
    run: impl AsyncFnOnce(Service, rocket::Rocket<rocket::Build>, StopSignals) -> Result<(), StartError>,
) -> Result<(), StartError> {
    keep_memory_private();
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let workers = match config.server.workers {
        0 => cores.max(2),
        workers => workers.into(),
    };
    let failed = |error| StartError::new("The runtime cannot be started.").because(error);
    let runtime = server::runtime(workers).map_err(failed)?;
    let ended = runtime.block_on(async {
        // Before anything is started, so that a Ctrl-C at any moment stops what was.
        let stop = StopSignals::listen()?;
        let settings = config.clone();
        let stores = tokio::task::spawn_blocking(move || Stores::open(&settings)).await;
        let stores = stores.map_err(|error| StartError::new("The start was cut short.").because(error))??;
        let (service, rocket) = assemble(config, stores, workers).map_err(StartError::new)?;
        run(service, rocket, stop).await
    });
    // Threads that hash passwords or wait for a child must not keep a stopped service alive.
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended
}

/// The store, and the same as the engine is to see it: with RabbitMQ, new runs are handed out by hints.
pub(super) fn flow_store(
    config: &Config,
    stores: &Stores,
) -> Result<(Arc<PgFlowStore>, Arc<dyn FlowStore>), String> {
    let store = PgFlowStore::new(stores.pool.clone(), stores.lease_pool.clone(), &stores.session);
    let Some(url) = &config.queue.url else {
        let store = Arc::new(store);
        return Ok((store.clone(), store));
    };
    let labels = config.worker.enabled.then(|| config.worker.labels.clone());
    let hints = Hints::start(url.expose(), labels)?;
    let store = Arc::new(store.handed_out_elsewhere());
    Ok((store.clone(), Arc::new(HintingFlowStore { store, hints })))
}

impl Service {
    async fn work(self, mut stop: StopSignals) -> Result<(), StartError> {
        let watched = match self.config.metrics.address {
            Some(address) => {
                Some(Watched::listen(address, self.metrics.clone(), self.readiness.clone()).await?)
            }
            None => None,
        };
        let starting = async {
            self.migrate().await?;
            self.set_to_work().await
        };
        let work = tokio::select! {
            started = starting => Some(started.map_err(StartError::new)?),
            _ = stop.recv() => None,
        };
        if let Some(work) = work {
            self.readiness.set_ready();
            log::info!("ready to work");
            stop.recv().await;
            self.readiness.set_draining();
            self.end(work).await;
        }
        if let Some(watched) = watched {
            watched.stop().await;
        }
        log::info!("stopped");
        self.stores.close().await
    }
}
