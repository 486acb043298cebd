//! What other processes tell about runs.

use flow_domain::RunId;
use flow_domain::flows::store::Signal;
use tokio::sync::{Mutex, mpsc};
use tokio_postgres::Config;

use crate::driven::postgres::listen::listen;

pub(super) struct Signals {
    heard: Mutex<mpsc::Receiver<Signal>>,
}

impl Signals {
    pub(super) fn start(config: Config) -> Self {
        Self { heard: Mutex::new(listen(config, "listen flow_signal", 1024, Signal::Claimable, read)) }
    }

    pub(super) async fn next(&self) -> Signal {
        match self.heard.lock().await.recv().await {
            Some(signal) => signal,
            None => std::future::pending().await,
        }
    }
}

fn read(payload: &str) -> Option<Signal> {
    match payload.split_once(' ') {
        None if payload == "claimable" => Some(Signal::Claimable),
        Some(("cancel", run)) => RunId::parse(run).map(Signal::Cancel),
        _ => None,
    }
}
