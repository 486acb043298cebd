//! LISTEN on a connection of its own.

use std::future::poll_fn;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_postgres::{AsyncMessage, Config};

use super::error;
use super::tls::Tls;

/// Between attempts to listen again; until then a look now and then finds what is to be found.
const RECONNECT_EVERY: Duration = Duration::from_millis(500);

/// What `read` makes of each notification, until the receiver is dropped. `statement` is the LISTEN, which takes no
/// parameter. What was told while nobody listened is lost: `missed` says so, at first and after each lost connection.
/// With `at_once` of them waiting to be received, more are lost, which `missed` says as soon as there is room.
pub(super) fn listen<T: Clone + Send + Sync + 'static>(
    config: Config,
    statement: &'static str,
    at_once: usize,
    missed: T,
    read: fn(&str) -> Option<T>,
) -> mpsc::Receiver<T> {
    let (tell, heard) = mpsc::channel(at_once);
    tokio::spawn(async move {
        while !tell.is_closed() {
            if let Err(error) = session(&config, statement, &tell, &missed, read).await {
                log::debug!("not listening: {}", error::describe(&error));
            }
            tokio::time::sleep(RECONNECT_EVERY).await;
        }
    });
    heard
}

async fn session<T: Clone>(
    config: &Config,
    statement: &'static str,
    tell: &mpsc::Sender<T>,
    missed: &T,
    read: fn(&str) -> Option<T>,
) -> Result<(), tokio_postgres::Error> {
    let (client, mut connection) = config.connect(Tls).await?;
    let messages = async {
        let mut behind = false;
        loop {
            tokio::select! {
                message = poll_fn(|context| connection.poll_message(context)) => match message {
                    Some(message) => {
                        if let AsyncMessage::Notification(notification) = message?
                            && let Some(signal) = read(notification.payload())
                        {
                            behind |= tell.try_send(signal).is_err();
                        }
                    }
                    None => return Ok(()),
                },
                Ok(room) = tell.reserve(), if behind => {
                    room.send(missed.clone());
                    behind = false;
                }
            }
        }
    };
    let listening = async {
        client.batch_execute(statement).await?;
        let _ = tell.try_send(missed.clone());
        tell.closed().await;
        Ok(())
    };
    tokio::select! {
        ended = messages => ended,
        ended = listening => ended,
    }
}
