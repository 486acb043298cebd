//! The driver behind the queue: one loop a consumer, and one that relays the outbox.

use std::sync::Arc;
use std::time::Duration;

use flow_domain::queue::{Delivery, GivenBack, Handler, Outbox, Queue, Subscription};
use flow_domain::{Error, Kind};
use futures_util::{StreamExt, stream};
use log::{error, info, warn};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Deliveries in hand at once, as many of them dealt with at once as their handler says.
const PREFETCH: usize = 16;
/// Events handed to the queue in one go.
const RELAY_BATCH: usize = 500;
/// After the first failed delivery; doubles with each one after.
const BACKOFF: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(120);
/// Between two looks while the queue or the outbox is away.
const AWAY: Duration = Duration::from_secs(1);

/// What carries the events.
#[derive(Clone)]
pub struct Lines {
    pub queue: Arc<dyn Queue>,
    pub outbox: Arc<dyn Outbox>,
}

/// Serves all handlers until the signal; what is in hand then is dealt with before this returns.
pub async fn run(lines: Lines, handlers: Vec<Arc<dyn Handler>>, stop: CancellationToken) {
    let mut loops = JoinSet::new();
    // An event that is published before its consumer is known would not be kept for it.
    for handler in &handlers {
        declare(&*lines.queue, &handler.subscription(), &stop).await;
    }
    for handler in handlers {
        loops.spawn(consume(lines.queue.clone(), handler, stop.clone()));
    }
    loops.spawn(relay(lines, stop));
    while let Some(ended) = loops.join_next().await {
        if ended.is_err() {
            error!("a consumer of events ended by a panic");
        }
    }
}

async fn relay(Lines { queue, outbox }: Lines, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let pause = async {
            match outbox.relay(&*queue, RELAY_BATCH).await {
                Ok(0) => outbox.stirred().await,
                Ok(_) => {}
                Err(error) => {
                    log::debug!("nothing relayed: {error}");
                    tokio::time::sleep(AWAY).await;
                }
            }
        };
        tokio::select! {
            () = pause => {}
            () = stop.cancelled() => {}
        }
    }
}

async fn consume(queue: Arc<dyn Queue>, handler: Arc<dyn Handler>, stop: CancellationToken) {
    let consumer = &handler.subscription().consumer;
    while !stop.is_cancelled() {
        let received = tokio::select! {
            received = queue.receive(consumer, PREFETCH) => received,
            () = stop.cancelled() => return,
        };
        match received {
            Ok(deliveries) => {
                let settled = |delivery| settle(&*queue, &*handler, consumer, delivery);
                stream::iter(deliveries).for_each_concurrent(handler.at_once(), settled).await;
            }
            Err(error) => {
                log::debug!("consumer={consumer} received nothing: {error}");
                paused(AWAY, &stop).await;
            }
        }
    }
}

/// Until the queue knows it, or the signal.
async fn declare(queue: &dyn Queue, subscription: &Subscription, stop: &CancellationToken) {
    let mut told = false;
    while let Err(error) = queue.declare(subscription).await {
        if !std::mem::replace(&mut told, true) {
            warn!("consumer={} waits for the queue: {error}", subscription.consumer);
        }
        if paused(AWAY, stop).await {
            return;
        }
    }
}

/// Whether it was told to stop meanwhile.
async fn paused(time: Duration, stop: &CancellationToken) -> bool {
    tokio::time::timeout(time, stop.cancelled()).await.is_ok()
}

async fn settle(queue: &dyn Queue, handler: &dyn Handler, consumer: &str, delivery: Delivery) {
    let id = delivery.event.id;
    let settled = match handler.handle(&delivery.event).await {
        Ok(()) => queue.ack(consumer, &delivery).await,
        Err(error) if error.kind == Kind::Invalid => {
            error!("consumer={consumer} event={id} is a dead letter: {error}");
            queue.bury(consumer, &delivery, &reason(&error)).await
        }
        Err(error) => {
            let given =
                queue.give_back(consumer, &delivery, &reason(&error), backoff(delivery.attempt)).await;
            given.map(|given| match given {
                GivenBack::Dead => error!("consumer={consumer} event={id} is a dead letter: {error}"),
                GivenBack::Again => {
                    warn!("consumer={consumer} event={id} attempt={} {error}", delivery.attempt)
                }
                GivenBack::Late => info!("consumer={consumer} event={id} took too long and came again"),
            })
        }
    };
    // Unsettled, it comes again by itself.
    if let Err(error) = settled {
        warn!("consumer={consumer} event={id} could not be settled: {error}");
    }
}

/// For people who look at dead letters: the code, the public sentence and the faults, as causes may hold anything.
fn reason(error: &Error) -> String {
    let faults = error.faults.iter().map(|fault| format!(" {}: {}.", fault.pointer, fault.detail));
    format!("{}: {}{}", error.code, error.public, faults.collect::<String>())
}

fn backoff(attempt: u32) -> Duration {
    BACKOFF.saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1).min(16))).min(BACKOFF_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_two_minutes() {
        let pauses: Vec<u64> = [1, 2, 3, 7, 8, 9, u32::MAX].map(|attempt| backoff(attempt).as_secs()).into();
        assert_eq!(pauses, [1, 2, 4, 64, 120, 120, 120]);
    }
}
