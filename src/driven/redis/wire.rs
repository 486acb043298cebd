//! Numbers of messages, told from process to process by Redis's publish and subscribe.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use flow_domain::rooms::{RoomName, Signal, Wire};
use futures_util::StreamExt;
use redis::RedisError;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::RedisLink;

/// Signals that wait for who listens; more wait in Redis.
const SIGNALS: usize = 1024;
const SUBSCRIBE_FOR: Duration = Duration::from_secs(2);
/// Between attempts to listen again; until then a look now and then finds what is to be found.
const RETRY_EVERY: Duration = Duration::from_millis(500);

pub struct RedisWire {
    link: Arc<RedisLink>,
    channel: String,
}

impl RedisWire {
    pub fn new(link: Arc<RedisLink>) -> Self {
        // Channels are of the whole server: services that share one are told apart by the number in the address.
        let database = link.client().get_connection_info().redis_settings().db();
        Self { link, channel: format!("flow-manager:{database}:room") }
    }
}

#[async_trait]
impl Wire for RedisWire {
    /// Nobody heard it when not even this process did.
    async fn tell(&self, room: &RoomName, number: i64) -> bool {
        let mut publish = redis::cmd("PUBLISH");
        publish.arg(&self.channel).arg(format!("{room} {number}"));
        self.link.call::<i64>(&publish).await.is_ok_and(|listeners| listeners > 0)
    }

    fn hear(&self) -> mpsc::Receiver<Signal> {
        let (tell, heard) = mpsc::channel(SIGNALS);
        let (link, channel) = (self.link.clone(), self.channel.clone());
        tokio::spawn(async move {
            let listening = async {
                loop {
                    let lost = link.up().await;
                    tokio::select! {
                        ended = listen(&link, &channel, &tell) => if let Err(error) = ended {
                            log::debug!("not listening to Redis: {error}");
                        },
                        () = lost => {}
                    }
                    sleep(RETRY_EVERY).await;
                }
            };
            tokio::select! {
                () = listening => {}
                () = tell.closed() => {}
            }
        });
        heard
    }
}

async fn listen(link: &RedisLink, channel: &str, tell: &mpsc::Sender<Signal>) -> Result<(), RedisError> {
    let subscribing = async {
        let mut connection = link.client().get_async_pubsub().await?;
        connection.subscribe(channel).await?;
        Ok::<_, RedisError>(connection)
    };
    let Ok(connection) = timeout(SUBSCRIBE_FOR, subscribing).await else { return Ok(()) };
    let mut messages = connection?.into_on_message();
    let _ = tell.send(Signal::Anything).await;
    while let Some(message) = messages.next().await {
        if let Some(signal) = message.get_payload::<String>().ok().as_deref().and_then(read) {
            let _ = tell.send(signal).await;
        }
    }
    Ok(())
}

/// `ROOM NUMBER`.
fn read(payload: &str) -> Option<Signal> {
    let (room, number) = payload.split_once(' ')?;
    Some(Signal::Posted(RoomName::parse(room).ok()?, number.parse().ok()?))
}
