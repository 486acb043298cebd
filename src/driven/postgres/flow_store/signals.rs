//! What other processes tell about runs.

use flow_domain::flows::store::Signal;
use flow_domain::{Cancel, RunId};
use tokio::sync::{Mutex, mpsc};
use tokio_postgres::Config;

use crate::driven::postgres::listen::listen;

pub(super) struct Signals {
    heard: Mutex<mpsc::Receiver<Signal>>,
}

impl Signals {
    pub(super) fn start(config: Config) -> Self {
        Self { heard: Mutex::new(listen(config, "listen flow_signal", 1024, Signal::Missed, read)) }
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
        None if payload == "pauses" => Some(Signal::Pauses),
        Some((how, run)) => {
            let how = [Cancel::Orderly, Cancel::Forced].into_iter().find(|known| word(*known) == how)?;
            RunId::parse(run).map(|run| Signal::Cancel(run, how))
        }
        None => None,
    }
}

/// How a notification names it.
pub(super) fn word(how: Cancel) -> &'static str {
    match how {
        Cancel::Orderly => "cancel",
        Cancel::Forced => "force",
    }
}
