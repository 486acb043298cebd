//! A doorbell between processes: NOTIFY rings it, and a connection of its own hears it by LISTEN.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_postgres::{AsyncMessage, Config};

use super::error;
use super::tls::Tls;

/// Between attempts to listen again; until then whoever waits looks by itself.
const RECONNECT_EVERY: Duration = Duration::from_millis(500);

/// Rings whenever something was notified, and once whenever listening begins: what was told before was not heard.
/// Listening ends with the value.
pub struct Doorbell {
    rung: Arc<Notify>,
    listening: tokio::task::JoinHandle<()>,
}

impl Doorbell {
    /// `listen` is the whole statement: a channel's name can be no parameter.
    pub fn install(config: Config, listen: &'static str) -> Self {
        let rung = Arc::new(Notify::new());
        let bell = rung.clone();
        let listening = tokio::spawn(async move {
            loop {
                if let Err(error) = hear(&config, listen, &bell).await {
                    log::debug!("not listening: {}", error::describe(&error));
                }
                tokio::time::sleep(RECONNECT_EVERY).await;
            }
        });
        Self { rung, listening }
    }

    /// Waits for one who waits; a ring that nobody waited for is kept for the next.
    pub async fn rings(&self) {
        self.rung.notified().await;
    }
}

impl Drop for Doorbell {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn hear(config: &Config, listen: &str, bell: &Notify) -> Result<(), tokio_postgres::Error> {
    let (client, mut connection) = config.connect(Tls).await?;
    let messages = async {
        while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
            if matches!(message?, AsyncMessage::Notification(_)) {
                bell.notify_one();
            }
        }
        Ok(())
    };
    let listening = async {
        client.batch_execute(listen).await?;
        bell.notify_one();
        std::future::pending().await
    };
    tokio::select! {
        ended = messages => ended,
        ended = listening => ended,
    }
}
