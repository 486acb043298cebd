//! What is counted, put together for `/metrics`.

use std::sync::Arc;

use async_trait::async_trait;
use flow_domain::flows::Engine;
use flow_domain::meters::{Family, Meters, Reading, Sample};
use flow_domain::queue::Handler;

use crate::driver::event_meters::{CountedHandler, EventMeters};
use crate::driver::http::Streams;

/// How this process stands now.
pub(super) struct OwnMeters {
    pub engine: Arc<Engine>,
    pub streams: Arc<Streams>,
}

#[async_trait]
impl Meters for OwnMeters {
    async fn read(&self) -> Vec<Family> {
        let gauge = |name, help, value: f64| Family::of_one(name, help, Reading::Gauge(value));
        let version = Sample::new([("version", env!("CARGO_PKG_VERSION"))], Reading::Gauge(1.0));
        let held = self.engine.lease().is_held();
        vec![
            Family::new("build_info", "The version of this process", vec![version]),
            gauge("runs_driven", "Runs that this process drives", self.engine.live().len() as f64),
            gauge("slots_free", "Steps that this process could start now", self.engine.free_slots() as f64),
            gauge("lease_held", "Whether this process holds its lease", f64::from(u8::from(held))),
            gauge("streams_open", "Streams and waiting polls of this process", self.streams.open() as f64),
        ]
    }
}

/// The same consumers, counted.
pub(super) fn counted(handlers: Vec<Arc<dyn Handler>>) -> (Vec<Arc<dyn Handler>>, Arc<dyn Meters>) {
    let (mut consumers, mut counted) = (Vec::<Arc<dyn Handler>>::new(), Vec::new());
    for handler in handlers {
        let handler = Arc::new(CountedHandler::new(handler));
        consumers.push(handler.clone());
        counted.push(handler);
    }
    (consumers, Arc::new(EventMeters(counted)))
}
