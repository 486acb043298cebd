//! A worker's own small server, for those who watch it.

use std::net::SocketAddr;
use std::sync::Arc;

use rocket::Shutdown;
use rocket::fairing::AdHoc;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::driven::start_error::StartError;
use crate::driver::http::health::Readiness;
use crate::driver::http::metrics::Metrics;
use crate::driver::http::{Edge, HttpSettings, server};

/// Listening, until it is told to stop.
pub(super) struct Watched {
    server: JoinHandle<Result<(), String>>,
    shutdown: Shutdown,
}

impl Watched {
    /// Listens before anything else is done, so that a worker whose database is away can be seen to wait for it.
    pub(super) async fn listen(
        address: SocketAddr,
        metrics: Arc<Metrics>,
        readiness: Arc<Readiness>,
    ) -> Result<Self, StartError> {
        let refused = |why: String| StartError::new(format!("metrics.address {address}: {why}."));
        let settings = HttpSettings {
            address: address.ip(),
            port: address.port(),
            workers: 1,
            keep_alive_s: 5,
            grace_s: 1,
            mercy_s: 1,
            edge: Edge::default(),
        };
        let (tell, told) = oneshot::channel();
        let liftoff = AdHoc::on_liftoff("watched", |rocket| {
            let _ = tell.send(rocket.config().port);
            Box::pin(async {})
        });
        let rocket = server::build_watched(&settings, metrics, readiness).attach(liftoff).ignite().await;
        let rocket = rocket.map_err(|error| refused(error.kind().to_string()))?;
        let shutdown = rocket.shutdown();
        let server = tokio::spawn(server::launch(rocket));
        match told.await {
            Ok(port) => {
                log::info!("watched on {}", SocketAddr::new(address.ip(), port));
                Ok(Self { server, shutdown })
            }
            // It ended before it listened.
            Err(_) => Err(refused(match server.await {
                Ok(Err(why)) => why,
                _ => "the server was cut short".to_owned(),
            })),
        }
    }

    pub(super) async fn stop(self) {
        self.shutdown.notify();
        if let Ok(Err(why)) = self.server.await {
            log::warn!("nobody could watch this worker any more: {why}");
        }
    }
}
