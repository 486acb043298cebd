//! Dead letters of all consumers, in one queue. A look takes them off the queue and gives them back, so two processes
//! that look at the same moment may each miss what the other has in hand.

use flow_domain::queue::DeadLetter;
use flow_domain::{EventId, Result};
use lapin::Channel;
use lapin::message::BasicGetMessage;
use lapin::options::{BasicAckOptions, BasicGetOptions, BasicNackOptions};
use tokio::sync::MutexGuard;

use super::link::{Link, away};
use super::message;
use super::topology::{DEAD, queue_of};

/// Consumers that have any.
pub(super) async fn bereaved(link: &Link) -> Result<Vec<String>> {
    let mut consumers = Vec::new();
    look(link, |message| {
        consumers.extend(message::mourner(message));
        false
    })
    .await?;
    consumers.sort();
    consumers.dedup();
    Ok(consumers)
}

/// A consumer's, the oldest first.
pub(super) async fn letters(link: &Link, consumer: &str, at_most: usize) -> Result<Vec<DeadLetter>> {
    let mut letters = Vec::new();
    look(link, |message| {
        if letters.len() < at_most && message::mourner(message).as_deref() == Some(consumer) {
            letters.push(message::dead_letter(message));
        }
        letters.len() >= at_most
    })
    .await?;
    Ok(letters)
}

pub(super) async fn revive(link: &Link, consumer: &str, event: EventId) -> Result<bool> {
    take(link, consumer, event, true).await
}

pub(super) async fn forget(link: &Link, consumer: &str, event: EventId) -> Result<bool> {
    take(link, consumer, event, false).await
}

/// Takes one off the queue; before that, if it is to be delivered again, puts a copy on its consumer's queue.
async fn take(link: &Link, consumer: &str, event: EventId, again: bool) -> Result<bool> {
    let is_meant = |message: &BasicGetMessage| {
        message::mourner(message).as_deref() == Some(consumer)
            && message::dead_letter(message).event.id == event
    };
    let (channel, seen) = browse(link, is_meant).await?;
    let taken = match seen.last().filter(|last| is_meant(last)) {
        None => Ok(false),
        Some(found) => settle(link, consumer, found, again).await.map(|()| true),
    };
    give_back(&channel).await?;
    taken
}

async fn settle(link: &Link, consumer: &str, found: &BasicGetMessage, again: bool) -> Result<()> {
    if again {
        message::confirmed(message::revive(&link.publisher, queue_of(consumer)?, found).await?).await?;
    }
    found.acker.ack(BasicAckOptions::default()).await.map(drop).map_err(away)
}

/// Shows messages to `enough`, until it has seen enough, and gives them back.
async fn look(link: &Link, enough: impl FnMut(&BasicGetMessage) -> bool) -> Result<()> {
    let (channel, _) = browse(link, enough).await?;
    give_back(&channel).await
}

/// Takes messages in hand, the oldest first, up to the one that is enough.
async fn browse<'a>(
    link: &'a Link,
    mut enough: impl FnMut(&BasicGetMessage) -> bool,
) -> Result<(MutexGuard<'a, Channel>, Vec<BasicGetMessage>)> {
    let mut channel = link.dead.lock().await;
    if !channel.status().connected() {
        *channel = link.connection.create_channel().await.map_err(away)?;
    }
    let mut seen = Vec::new();
    while let Some(message) =
        channel.basic_get(DEAD.into(), BasicGetOptions::default()).await.map_err(away)?
    {
        let last = enough(&message);
        seen.push(message);
        if last {
            break;
        }
    }
    Ok((channel, seen))
}

/// All that is in hand still.
async fn give_back(channel: &Channel) -> Result<()> {
    // The tag 0 with `multiple` means all.
    let options = BasicNackOptions { multiple: true, requeue: true };
    channel.basic_nack(0, options).await.map_err(away)
}
