//! Hands new runs to workers, in turn: a message is a hint with a run's id, the claim is the store's, and a run whose
//! hint is lost is found by the poll that every worker has anyway.

use std::sync::Arc;
use std::time::Duration;

use flow_domain::{Result, RunId};
use futures_util::StreamExt;
use futures_util::stream::select_all;
use lapin::BasicProperties;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions};
use lapin::types::FieldTable;
use tokio::sync::{Mutex, mpsc};

use super::link::{Broker, Link, away};
use super::topology;

/// A burst of new runs beyond this is left to the poll.
const MOST_UNSENT: usize = 4096;
/// Hints that the broker sends a worker ahead of its claims.
const PREFETCH: u16 = 4;
/// Between two looks while the broker is away.
const AWAY: Duration = Duration::from_secs(1);

/// A run and the label it needs.
type Hint = (RunId, Option<String>);

pub struct Hints {
    unsent: mpsc::Sender<Hint>,
    offered: Mutex<mpsc::Receiver<RunId>>,
    /// Ends both loops with this value.
    _loops: tokio::task::JoinSet<()>,
}

impl Hints {
    /// `labels` are those of a process that works; one that does not hears no hints.
    pub fn start(url: &str, labels: Option<Vec<String>>) -> Result<Self, String> {
        let broker = Arc::new(Broker::new(url)?.quiet());
        let (unsent, waiting) = mpsc::channel(MOST_UNSENT);
        // None ahead: what the engine has not asked for yet is still the broker's to give to another.
        let (offer, offered) = mpsc::channel(1);
        let mut loops = tokio::task::JoinSet::new();
        loops.spawn(send(broker.clone(), waiting));
        if let Some(labels) = labels {
            loops.spawn(hear(broker, labels, offer));
        }
        Ok(Self { unsent, offered: Mutex::new(offered), _loops: loops })
    }

    /// Waits for nothing.
    pub(super) fn give(&self, run: RunId, label: Option<String>) {
        let _ = self.unsent.try_send((run, label));
    }

    /// The next run that this process is to claim.
    pub(super) async fn next(&self) -> RunId {
        match self.offered.lock().await.recv().await {
            Some(run) => run,
            None => std::future::pending().await,
        }
    }
}

async fn send(broker: Arc<Broker>, mut waiting: mpsc::Receiver<Hint>) {
    while let Some((run, label)) = waiting.recv().await {
        if let Err(error) = publish(&broker, run, label.as_deref()).await {
            log::debug!("run={run} no worker was told: {error}");
        }
    }
}

/// Not confirmed: a hint is worth no wait.
async fn publish(broker: &Broker, run: RunId, label: Option<&str>) -> Result<()> {
    let link = broker.link().await?;
    let queue = topology::runs_queue(label)?;
    let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
    let body = run.to_string();
    let sent = link.publisher.basic_publish("".into(), queue, options, body.as_bytes(), properties);
    sent.await.map(drop).map_err(away)
}

async fn hear(broker: Arc<Broker>, labels: Vec<String>, offer: mpsc::Sender<RunId>) {
    loop {
        let heard = async {
            let link = broker.link().await?;
            listen(&link, &labels, &offer).await
        };
        if let Err(error) = heard.await {
            log::debug!("no runs are handed out for now: {error}");
        }
        tokio::time::sleep(AWAY).await;
    }
}

/// Until the link breaks.
async fn listen(link: &Link, labels: &[String], offer: &mpsc::Sender<RunId>) -> Result<()> {
    let channel = link.connection.create_channel().await.map_err(away)?;
    channel.basic_qos(PREFETCH, BasicQosOptions::default()).await.map_err(away)?;
    let mut streams = Vec::new();
    for label in labels.iter().map(|label| Some(label.as_str())).chain([None]) {
        let queue = topology::hints(&channel, label).await?;
        let options = BasicConsumeOptions::default();
        let stream = channel.basic_consume(queue, "".into(), options, FieldTable::default()).await;
        streams.push(stream.map_err(away)?);
    }
    let mut all = select_all(streams);
    while let Some(message) = all.next().await {
        let message = message.map_err(away)?;
        let run = std::str::from_utf8(&message.data).ok().and_then(RunId::parse);
        if let Some(run) = run
            && offer.send(run).await.is_err()
        {
            return Ok(());
        }
        message.acker.ack(BasicAckOptions::default()).await.map_err(away)?;
    }
    Err(away("it sends nothing any more"))
}
