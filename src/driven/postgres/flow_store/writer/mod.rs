//! The group commit: whatever waits to be written goes out in one statement and one commit.
//!
//! While a batch is on its way the next one gathers; when none is, a lone write leaves at once. So the size of a batch
//! follows the load and nobody waits for company. One connection does better than several: these would cut the same
//! writes into more batches, and each batch costs a statement's set-up and a commit.

mod batch;
mod columns;
mod socket;
mod statement;

use std::sync::Arc;
use std::time::{Duration, Instant};

use flow_domain::flows::run::Run;
use flow_domain::flows::store::{Ack, Checkpoint};
use flow_domain::{Error, Result};
use tokio::sync::{mpsc, oneshot};
use tokio_postgres::Config;

use crate::driven::postgres::meters::BatchMeters;
use batch::{Connection, Failed};

/// Writes in one statement. Twice as many save little more, and a fault makes the whole batch be sent again.
const MOST_WRITES: usize = 256;
/// Writes that may wait before those who bring more wait too.
const MOST_WAITING: usize = 4096;
/// Between attempts to reach a database that is away.
const RECONNECT_EVERY: Duration = Duration::from_millis(200);

/// One thing to be written, and who waits for it.
pub(super) enum Write {
    Create { run: Box<Run>, done: oneshot::Sender<Result<()>> },
    Checkpoint { checkpoint: Box<Checkpoint>, done: oneshot::Sender<Result<Ack>> },
}

pub(super) struct Writer {
    queue: mpsc::Sender<Write>,
}

impl Writer {
    pub(super) fn start(config: Config, meters: Arc<BatchMeters>) -> Self {
        let (queue, waiting) = mpsc::channel(MOST_WAITING);
        tokio::spawn(write(config, waiting, meters));
        Self { queue }
    }

    /// Stores a run that its creator owns. A database that is away is an error at once: nothing is lost yet.
    pub(super) async fn create(&self, run: Run) -> Result<()> {
        let (done, answer) = oneshot::channel();
        self.send(Write::Create { run: Box::new(run), done }, answer).await
    }

    /// Waits as long as it takes: a run's progress is not lost because the database is away.
    pub(super) async fn checkpoint(&self, checkpoint: Checkpoint) -> Result<Ack> {
        let (done, answer) = oneshot::channel();
        self.send(Write::Checkpoint { checkpoint: Box::new(checkpoint), done }, answer).await
    }

    async fn send<T>(&self, write: Write, answer: oneshot::Receiver<Result<T>>) -> Result<T> {
        let gone = |_| Error::unavailable("service.stopping", "The service is stopping; try again shortly.");
        self.queue.send(write).await.map_err(|_| gone(()))?;
        answer.await.map_err(|_| gone(()))?
    }
}

type Waiting = mpsc::Receiver<Write>;

async fn write(config: Config, mut waiting: Waiting, meters: Arc<BatchMeters>) {
    let mut connection = None;
    let mut writes = Vec::with_capacity(MOST_WRITES);
    while gather(&mut waiting, &mut connection, &mut writes).await {
        // Rows are locked in the order of their ids, so that two processes cannot wait for each other.
        writes.sort_unstable_by_key(Write::run);
        let mut groups = vec![std::mem::take(&mut writes)];
        while let Some(group) = groups.pop() {
            groups.extend(write_group(&config, &mut waiting, &mut connection, &meters, group).await);
        }
    }
}

/// Takes all that waits; `false` when nobody will bring anything any more. A connection that ends meanwhile is dropped.
async fn gather(waiting: &mut Waiting, connection: &mut Option<Connection>, writes: &mut Vec<Write>) -> bool {
    if let Some(open) = connection {
        tokio::select! {
            biased;
            brought = waiting.recv_many(writes, MOST_WRITES) => return brought > 0,
            () = open.ended() => *connection = None,
        }
    }
    waiting.recv_many(writes, MOST_WRITES).await > 0
}

/// Writes a group, or answers into what smaller groups it must be split.
async fn write_group(
    config: &Config,
    waiting: &mut Waiting,
    connection: &mut Option<Connection>,
    meters: &BatchMeters,
    mut group: Vec<Write>,
) -> Vec<Vec<Write>> {
    loop {
        let mut open = match connection.take() {
            Some(open) => open,
            None => match Connection::open(config).await {
                Ok(mut open) => {
                    // An answer may have been lost with the last connection: ask before writing again.
                    match open.settle_lost(group).await {
                        Ok(left) => group = left,
                        Err(kept) => {
                            group = kept;
                            continue;
                        }
                    }
                    if group.is_empty() {
                        *connection = Some(open);
                        return Vec::new();
                    }
                    open
                }
                Err(error) => {
                    group = refuse_creates(group, &error);
                    if group.is_empty() {
                        return Vec::new();
                    }
                    group = pause(waiting, group, &error).await;
                    continue;
                }
            },
        };
        let begun = Instant::now();
        match open.write(&group).await {
            Ok(stored) => {
                meters.stored(group.len(), begun.elapsed());
                *connection = Some(open);
                for write in group {
                    write.answer(&stored);
                }
                return Vec::new();
            }
            Err(Failed::Again) => *connection = Some(open),
            Err(Failed::ConnectionLost) => {}
            Err(Failed::NoRoom(error)) => {
                *connection = Some(open);
                group = refuse_creates(group, &error);
                if group.is_empty() {
                    return Vec::new();
                }
                group = pause(waiting, group, &error).await;
            }
            Err(Failed::Data(error)) if group.len() == 1 => {
                *connection = Some(open);
                group.into_iter().for_each(|write| write.refuse(&error));
                return Vec::new();
            }
            Err(Failed::Data(_)) => {
                *connection = Some(open);
                let half = group.split_off(group.len() / 2);
                return vec![group, half];
            }
        }
    }
}

/// Waits before the next attempt. Callers who come meanwhile are not kept waiting for it: only checkpoints join in.
async fn pause(waiting: &mut Waiting, mut group: Vec<Write>, error: &Error) -> Vec<Write> {
    let end = tokio::time::Instant::now() + RECONNECT_EVERY;
    let mut more = Vec::new();
    loop {
        match tokio::time::timeout_at(end, gather(waiting, &mut None, &mut more)).await {
            Ok(true) => group.extend(refuse_creates(std::mem::take(&mut more), error)),
            // Nobody brings anything any more.
            Ok(false) => break tokio::time::sleep_until(end).await,
            Err(_) => break,
        }
    }
    group.sort_unstable_by_key(Write::run);
    group
}

/// A caller whose run is not stored yet hears at once that the database is away or full.
fn refuse_creates(group: Vec<Write>, error: &Error) -> Vec<Write> {
    let mut left = Vec::with_capacity(group.len());
    for write in group {
        match write {
            Write::Create { .. } => write.refuse(error),
            Write::Checkpoint { .. } => left.push(write),
        }
    }
    left
}
