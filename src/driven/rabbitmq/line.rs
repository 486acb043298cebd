//! One consumer's deliveries: what the broker sent, and what of it is in hand.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flow_domain::queue::{Delivery, Event};
use flow_domain::{EventId, Result};
use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery as Message;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions, BasicRejectOptions,
};
use lapin::types::FieldTable;
use lapin::{Acker, Channel, Consumer};
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::{Instant, timeout_at};

use super::link::{Link, away};
use super::{message, topology};

/// Messages that the broker sends ahead: some more than a consumer has in hand, few enough for others of its name.
const PREFETCH: u16 = 32;
/// Tells deliveries of all lines of this process apart.
static NEXT_RECEIPT: AtomicU64 = AtomicU64::new(1);

pub(super) struct Line {
    pub link: Arc<Link>,
    channel: Channel,
    stream: AsyncMutex<Consumer>,
    hand: Mutex<HashMap<u64, InHand>>,
}

pub(super) struct InHand {
    pub acker: Acker,
    event: EventId,
    since: Instant,
}

/// What became of a message.
enum Sorted {
    /// For the consumer.
    Delivery(Delivery),
    /// Its deliveries are used up.
    Spent(Event, u32, Acker),
    /// There is nothing to do about it any more.
    Settled,
}

/// A message that is to be a dead letter before anybody sees it.
pub(super) struct Spent {
    pub event: Event,
    pub attempts: u32,
    pub acker: Acker,
}

impl Line {
    pub async fn open(link: Arc<Link>, consumer: &str) -> Result<Self> {
        let channel = link.connection.create_channel().await.map_err(away)?;
        channel.basic_qos(PREFETCH, BasicQosOptions::default()).await.map_err(away)?;
        let queue = topology::queue_of(consumer)?;
        let options = BasicConsumeOptions::default();
        let stream = channel.basic_consume(queue, "".into(), options, FieldTable::default()).await;
        let stream = AsyncMutex::new(stream.map_err(away)?);
        Ok(Self { link, channel, stream, hand: Mutex::default() })
    }

    pub fn is_up(&self) -> bool {
        self.channel.status().connected() && self.link.connection.status().connected()
    }

    /// Up to `at_most` that are there; waits for the first until the deadline.
    pub async fn take(
        &self,
        at_most: usize,
        limit: u32,
        deadline: Instant,
    ) -> Result<(Vec<Delivery>, Vec<Spent>)> {
        let (mut deliveries, mut spent) = (Vec::new(), Vec::new());
        let Ok(mut stream) = timeout_at(deadline, self.stream.lock()).await else {
            return Ok((deliveries, spent));
        };
        while deliveries.len() < at_most {
            let next = match deliveries.is_empty() && spent.is_empty() {
                true => timeout_at(deadline, stream.next()).await.ok(),
                false => stream.next().now_or_never(),
            };
            let message = match next {
                None => break,
                Some(Some(Ok(message))) => message,
                Some(Some(Err(error))) => return Err(away(error)),
                Some(None) => return Err(away("it sends nothing any more")),
            };
            match self.sort(message, limit).await? {
                Sorted::Delivery(delivery) => deliveries.push(delivery),
                Sorted::Spent(event, attempts, acker) => spent.push(Spent { event, attempts, acker }),
                Sorted::Settled => {}
            }
        }
        Ok((deliveries, spent))
    }

    async fn sort(&self, message: Message, limit: u32) -> Result<Sorted> {
        let attempt = message::attempt(&message);
        let Some(event) = message::event(&message) else {
            // The broker puts it among the dead letters as it is.
            let options = BasicRejectOptions { requeue: false };
            message.acker.reject(options).await.map_err(away)?;
            return Ok(Sorted::Settled);
        };
        if attempt > limit {
            return Ok(Sorted::Spent(event, attempt - 1, message.acker));
        }
        if self.hand().values().any(|held| held.event == event.id) {
            message.acker.ack(BasicAckOptions::default()).await.map_err(away)?;
            return Ok(Sorted::Settled);
        }
        let receipt = NEXT_RECEIPT.fetch_add(1, Ordering::Relaxed);
        let held = InHand { acker: message.acker, event: event.id, since: Instant::now() };
        self.hand().insert(receipt, held);
        Ok(Sorted::Delivery(Delivery { event, attempt, receipt }))
    }

    /// What was in hand for longer than this comes again.
    pub async fn give_up(&self, held_for: Duration) -> Result<()> {
        let late: Vec<InHand> = self
            .hand()
            .extract_if(|_, held| held.since.elapsed() >= held_for)
            .map(|(_, held)| held)
            .collect();
        for held in late {
            again(&held.acker).await?;
        }
        Ok(())
    }

    /// Takes it out of the hand, if it is there still.
    pub fn let_go(&self, delivery: &Delivery) -> Option<InHand> {
        self.hand().remove(&delivery.receipt)
    }

    fn hand(&self) -> MutexGuard<'_, HashMap<u64, InHand>> {
        self.hand.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) async fn done(acker: &Acker) -> Result<()> {
    acker.ack(BasicAckOptions::default()).await.map(drop).map_err(away)
}

/// The broker delivers it once more, and counts that.
pub(super) async fn again(acker: &Acker) -> Result<()> {
    let options = BasicNackOptions { requeue: true, multiple: false };
    acker.nack(options).await.map(drop).map_err(away)
}
