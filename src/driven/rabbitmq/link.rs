//! The connection to the broker: made when it is wanted, given up as a whole when any part of it fails.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use flow_domain::queue::Subscription;
use flow_domain::{Error, Result};
use lapin::options::ConfirmSelectOptions;
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Channel, Connection, ConnectionProperties};
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::{Instant, timeout};

use super::topology;

/// For the connection with all that is declared over it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Seconds. A broker that is there and mute is noticed after two of them.
const HEARTBEAT_S: u16 = 10;
/// The pause after the first attempt that failed; doubles up to the longest, spread so that processes do not come
/// back all at once.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

pub(super) struct Link {
    pub connection: Connection,
    /// Confirms what it is given.
    pub publisher: Channel,
    /// For dead letters: one channel, so that what one look gives back the next one finds.
    pub dead: AsyncMutex<Channel>,
}

impl Link {
    fn is_up(&self) -> bool {
        self.connection.status().connected() && self.publisher.status().connected()
    }
}

/// Where the broker is, and the link to it while there is one.
pub(super) struct Broker {
    uri: AMQPUri,
    link: AsyncMutex<State>,
    /// Declared again on each new link: the broker may have lost its disk.
    subscriptions: Mutex<BTreeMap<String, Subscription>>,
    /// One of a process says when the broker goes and comes.
    tells: bool,
}

struct State {
    link: Option<Arc<Link>>,
    pauses: ExponentialBackoff,
    not_before: Instant,
    told: bool,
}

impl Broker {
    /// `url` is `amqp://user:password@host:5672/vhost`. The error repeats nothing of it.
    pub fn new(url: &str) -> Result<Self, String> {
        let wrong = || "queue.url is not amqp://user:password@host:5672/vhost.".to_owned();
        let mut uri: AMQPUri = url.parse().map_err(|_| wrong())?;
        if uri.scheme != AMQPScheme::AMQP {
            return Err("queue.url is amqps://, and this program speaks AMQP without TLS only.".to_owned());
        }
        uri.query.heartbeat.get_or_insert(HEARTBEAT_S);
        let link = AsyncMutex::new(State::down());
        Ok(Self { uri, link, subscriptions: Mutex::default(), tells: true })
    }

    pub fn quiet(self) -> Self {
        Self { tells: false, ..self }
    }

    /// The link, made anew if it is down. After a failed attempt the next is made after a pause; until then the answer
    /// is that the broker is away.
    pub async fn link(&self) -> Result<Arc<Link>> {
        let mut state = self.link.lock().await;
        if let Some(link) = state.link.as_ref().filter(|link| link.is_up()) {
            return Ok(link.clone());
        }
        state.link = None;
        if Instant::now() < state.not_before {
            return Err(away("it was away a moment ago"));
        }
        let attempt = timeout(CONNECT_TIMEOUT, self.connect()).await;
        let made = attempt.unwrap_or_else(|_| Err(away("it does not answer")));
        match made {
            Ok(link) => {
                let link = Arc::new(link);
                if state.told {
                    log::info!("RabbitMQ is there");
                }
                *state = State { link: Some(link.clone()), ..State::down() };
                Ok(link)
            }
            Err(error) => {
                if self.tells && !std::mem::replace(&mut state.told, true) {
                    log::warn!(
                        "RabbitMQ cannot be used; events wait in the outbox until it is there: {error}"
                    );
                }
                state.not_before = Instant::now() + state.pauses.next().unwrap_or(LONGEST_PAUSE);
                Err(error)
            }
        }
    }

    /// Remembers it for links to come, and declares it over this one.
    pub async fn declare(&self, subscription: &Subscription) -> Result<()> {
        let link = self.link().await?;
        topology::declare(&link.connection, subscription).await?;
        self.known().insert(subscription.consumer.clone(), subscription.clone());
        Ok(())
    }

    pub fn delivery_limit(&self, consumer: &str) -> u32 {
        self.known().get(consumer).map_or(u32::MAX, |known| known.delivery_limit)
    }

    async fn connect(&self) -> Result<Link> {
        let properties = ConnectionProperties::default().with_connection_name("flow-manager".into());
        let connection = Connection::connect_uri(self.uri.clone(), properties).await.map_err(away)?;
        let publisher = connection.create_channel().await.map_err(away)?;
        publisher.confirm_select(ConfirmSelectOptions::default()).await.map_err(away)?;
        topology::ground(&publisher).await?;
        let subscriptions: Vec<_> = self.known().values().cloned().collect();
        for subscription in &subscriptions {
            topology::declare(&connection, subscription).await?;
        }
        let dead = AsyncMutex::new(connection.create_channel().await.map_err(away)?);
        Ok(Link { connection, publisher, dead })
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Subscription>> {
        self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn down() -> Self {
        Self { link: None, pauses: pauses(), not_before: Instant::now(), told: false }
    }
}

fn pauses() -> ExponentialBackoff {
    let builder = ExponentialBuilder::new().with_min_delay(FIRST_PAUSE).with_max_delay(LONGEST_PAUSE);
    builder.with_jitter().without_max_times().build()
}

/// The broker cannot be reached, or went away in the middle.
pub(super) fn away(cause: impl fmt::Display) -> Error {
    Error::unavailable("queue.unavailable", "The queue is away; try again shortly.").because(cause)
}
