//! The connection to Redis. While it is lost no call waits for it, and it is made again in the background.

use std::time::Duration;

use flow_domain::{Error, Result};
use redis::aio::MultiplexedConnection;
use redis::{Client, Cmd, ErrorKind, FromRedisValue, RedisError};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

/// The most that a call costs; then the connection counts as lost, and the calls after it cost nothing.
const CALL_FOR: Duration = Duration::from_millis(100);
/// To connect, sign in and be answered.
const CONNECT_FOR: Duration = Duration::from_secs(2);
/// Between attempts to connect.
const TRY_EVERY: Duration = Duration::from_millis(500);
/// A connection that nobody uses is looked at this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// One connection for all calls, which are sent as they come. Ends with the value.
pub struct RedisLink {
    client: Client,
    state: watch::Sender<State>,
    _upkeep: AbortOnDropHandle<()>,
}

#[derive(Clone)]
enum State {
    /// The number tells this connection from those before it.
    Up(u64, MultiplexedConnection),
    /// Why, for operators.
    Down(&'static str),
}

impl RedisLink {
    /// Begins to connect, and does not wait for it. The error is for who wrote the address.
    pub fn open(url: &str) -> std::result::Result<Self, String> {
        let wrong = || {
            "cache.url must be redis://[[USER]:PASSWORD@]HOST[:PORT][/NUMBER]; TLS is not built in."
                .to_owned()
        };
        if !url.starts_with("redis://") {
            return Err(wrong());
        }
        let client = Client::open(url).map_err(|_| wrong())?;
        let (state, _) = watch::channel(State::Down("Redis is not connected yet."));
        let upkeep = tokio::spawn(keep_up(client.clone(), state.clone()));
        Ok(Self { client, state, _upkeep: AbortOnDropHandle::new(upkeep) })
    }

    /// `Unavailable`, at once while Redis is away, in a tenth of a second when it just went.
    pub async fn call<T: FromRedisValue>(&self, command: &Cmd) -> Result<T> {
        let (number, mut connection) = match &*self.state.borrow() {
            State::Up(number, connection) => (*number, connection.clone()),
            State::Down(why) => return Err(away(why)),
        };
        match timeout(CALL_FOR, command.query_async(&mut connection)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                if error.is_unrecoverable_error() {
                    fall(&self.state, number, reason(&error));
                }
                Err(away("Redis refused a call.").because(error))
            }
            Err(_) => {
                fall(&self.state, number, NO_ANSWER);
                Err(away(NO_ANSWER))
            }
        }
    }

    /// Why Redis is away, if it is; names no host and no secret.
    pub fn trouble(&self) -> Option<&'static str> {
        match &*self.state.borrow() {
            State::Up(..) => None,
            State::Down(why) => Some(why),
        }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Waits until Redis is there; what is returned waits until that connection is lost.
    pub(super) async fn up(&self) -> impl Future<Output = ()> + use<> {
        let mut state = self.state.subscribe();
        let mut connected = 0;
        let is_up = |state: &State| match state {
            State::Up(number, _) => {
                connected = *number;
                true
            }
            State::Down(_) => false,
        };
        // Neither ends by itself before the link does.
        let _ = state.wait_for(is_up).await;
        async move {
            let lost = |state: &State| !matches!(state, State::Up(number, _) if *number == connected);
            let _ = state.wait_for(lost).await;
        }
    }
}

/// Whether a Redis answers at this address, in a few words. Blocks for some seconds at most.
pub fn probe(url: &str) -> std::result::Result<String, String> {
    let asked = client(url)?.get_connection_with_timeout(CONNECT_FOR).and_then(|mut connection| {
        connection.set_read_timeout(Some(CONNECT_FOR))?;
        redis::cmd("PING").query::<String>(&mut connection)
    });
    asked.map(|_| "Redis answers".to_owned()).map_err(|error| reason(&error).to_owned())
}

fn client(url: &str) -> std::result::Result<Client, String> {
    let wrong = "cache.url must be redis://[[USER]:PASSWORD@]HOST[:PORT][/NUMBER]; TLS is not built in.";
    let plain = url.starts_with("redis://");
    let client = plain.then(|| Client::open(url).ok()).flatten();
    client.ok_or_else(|| wrong.to_owned())
}

const NO_ANSWER: &str = "Redis does not answer.";

fn away(why: &str) -> Error {
    Error::unavailable("cache.unavailable", why)
}

/// Connects, and again whenever the connection is lost. What is wrong is logged once, not at every attempt.
async fn keep_up(client: Client, state: watch::Sender<State>) {
    let mut told = None;
    for number in 1.. {
        match timeout(CONNECT_FOR, connect(&client)).await {
            Ok(Ok(connection)) => {
                if told.take().is_some() {
                    log::info!("Redis is there");
                }
                state.send_replace(State::Up(number, connection.clone()));
                look_after(number, connection, &state).await;
                continue;
            }
            Ok(Err(error)) => {
                state.send_replace(State::Down(reason(&error)));
                log::debug!("not connected to Redis: {error}");
            }
            Err(_) => {
                state.send_replace(State::Down(NO_ANSWER));
            }
        }
        if let State::Down(why) = &*state.borrow()
            && told != Some(*why)
        {
            log::warn!("{why} The service goes on without its cache.");
            told = Some(*why);
        }
        sleep(TRY_EVERY).await;
    }
}

async fn connect(client: &Client) -> std::result::Result<MultiplexedConnection, RedisError> {
    let mut connection = client.get_multiplexed_async_connection().await?;
    // A server that wants a password says so to the first call only.
    ping(&mut connection).await?;
    Ok(connection)
}

async fn ping(connection: &mut MultiplexedConnection) -> std::result::Result<(), RedisError> {
    redis::cmd("PING").query_async(connection).await
}

/// Until the connection is lost.
async fn look_after(number: u64, mut connection: MultiplexedConnection, state: &watch::Sender<State>) {
    let mut changes = state.subscribe();
    loop {
        let lost = async { drop(changes.wait_for(|state| matches!(state, State::Down(_))).await) };
        tokio::select! {
            () = lost => return,
            () = sleep(LOOK_EVERY) => {
                let why = match timeout(CONNECT_FOR, ping(&mut connection)).await {
                    Ok(Ok(())) => continue,
                    Ok(Err(error)) => reason(&error),
                    Err(_) => NO_ANSWER,
                };
                fall(state, number, why);
            }
        }
    }
}

/// This connection is lost, whatever came after it.
fn fall(state: &watch::Sender<State>, lost: u64, why: &'static str) {
    state.send_if_modified(|state| {
        let current = matches!(state, State::Up(number, _) if *number == lost);
        if current {
            *state = State::Down(why);
        }
        current
    });
}

fn reason(error: &RedisError) -> &'static str {
    let refused = matches!(error.code(), Some("NOAUTH" | "WRONGPASS"));
    match error.kind() {
        ErrorKind::AuthenticationFailed => "Redis refuses the password of cache.url.",
        _ if refused => "Redis refuses the password of cache.url.",
        _ if error.is_timeout() => NO_ANSWER,
        ErrorKind::Io => "Redis cannot be reached.",
        _ => "Redis refuses the connection.",
    }
}
