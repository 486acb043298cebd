//! Dead letters from the command line: of the same queue as the service's, which may be running or not.

use std::sync::Arc;

use flow_domain::queue::{DeadLetter, Queue};
use flow_domain::{Error, EventId};

use super::place::with_database;
use crate::config::Config;
use crate::driven::postgres::{PgPool, PgQueue, PoolSettings};
use crate::driven::rabbitmq::RabbitQueue;
use crate::driven::start_error::StartError;

/// More than anybody reads.
const MOST: usize = 10_000;

/// A dead letter and whose it is.
#[derive(Clone, Debug)]
pub struct Letter {
    pub consumer: String,
    pub letter: DeadLetter,
}

/// Which letters: of all consumers or one, all of them or these.
#[derive(Clone, Debug, Default)]
pub struct Which {
    pub consumer: Option<String>,
    /// Empty: all.
    pub events: Vec<EventId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Look,
    /// Delivers them again, as if for the first time.
    Retry,
    /// Forgets them.
    Drop,
}

/// Does it and answers the letters it was done to, by consumer, each one's oldest first.
pub fn act(config: &Config, which: &Which, act: Act) -> Result<Vec<Letter>, StartError> {
    with_queue(config, async |queue| {
        let consumers = match &which.consumer {
            Some(consumer) => vec![consumer.clone()],
            None => queue.bereaved().await?,
        };
        let mut done = Vec::new();
        for consumer in consumers {
            for letter in queue.dead(&consumer, MOST).await? {
                let id = letter.event.id;
                let meant = which.events.is_empty() || which.events.contains(&id);
                let acted = meant
                    && match act {
                        Act::Look => true,
                        Act::Retry => queue.revive(&consumer, id).await?,
                        Act::Drop => queue.forget(&consumer, id).await?,
                    };
                if acted {
                    done.push(Letter { consumer: consumer.clone(), letter });
                }
            }
        }
        Ok(done)
    })
}

fn with_queue<T>(
    config: &Config,
    work: impl AsyncFnOnce(Arc<dyn Queue>) -> Result<T, Error>,
) -> Result<T, StartError> {
    let Some(url) = &config.queue.url else {
        return with_database(config, async |database| {
            let pool = PgPool::new(database, &PoolSettings { size: 1, ..PoolSettings::default() });
            work(Arc::new(PgQueue::new(pool))).await
        });
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime =
        runtime.map_err(|error| StartError::new("The runtime cannot be started.").because(error))?;
    let queue = Arc::new(RabbitQueue::new(url.expose()).map_err(StartError::new)?);
    runtime
        .block_on(work(queue))
        .map_err(|error: Error| StartError { sentence: error.public, cause: error.cause })
}
