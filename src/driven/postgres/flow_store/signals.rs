//! LISTEN on a connection of its own.

use std::future::poll_fn;
use std::time::Duration;

use flow_domain::RunId;
use flow_domain::flows::store::Signal;
use tokio::sync::{Mutex, mpsc};
use tokio_postgres::{AsyncMessage, Config, NoTls};

use crate::driven::postgres::error;

/// Between attempts to listen again; until then the poll finds what is to be found.
const RECONNECT_EVERY: Duration = Duration::from_millis(500);

pub(super) struct Signals {
    heard: Mutex<mpsc::Receiver<Signal>>,
}

impl Signals {
    pub(super) fn start(config: Config) -> Self {
        let (tell, heard) = mpsc::channel(1024);
        tokio::spawn(async move {
            while !tell.is_closed() {
                if let Err(error) = listen(&config, &tell).await {
                    log::debug!("not listening: {}", error::describe(&error));
                }
                tokio::time::sleep(RECONNECT_EVERY).await;
            }
        });
        Self { heard: Mutex::new(heard) }
    }

    pub(super) async fn next(&self) -> Signal {
        match self.heard.lock().await.recv().await {
            Some(signal) => signal,
            None => std::future::pending().await,
        }
    }
}

async fn listen(config: &Config, tell: &mpsc::Sender<Signal>) -> Result<(), tokio_postgres::Error> {
    let (client, mut connection) = config.connect(NoTls).await?;
    let messages = async {
        while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notification(notification) = message?
                && let Some(signal) = read(notification.payload())
            {
                // Full: whoever reads is behind, and polls anyway.
                let _ = tell.try_send(signal);
            }
        }
        Ok(())
    };
    let listening = async {
        client.batch_execute("listen flow_signal").await?;
        // What was told while nobody listened is looked for once.
        let _ = tell.try_send(Signal::Claimable);
        tell.closed().await;
        Ok(())
    };
    tokio::select! {
        ended = messages => ended,
        ended = listening => ended,
    }
}

fn read(payload: &str) -> Option<Signal> {
    match payload.split_once(' ') {
        None if payload == "claimable" => Some(Signal::Claimable),
        Some(("cancel", run)) => RunId::parse(run).map(Signal::Cancel),
        _ => None,
    }
}
