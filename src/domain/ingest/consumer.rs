//! Starts a run of `ingest-chunk` for each chunk that was found.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{CHUNK_FOUND, ChunkRef, LOADS_AT_ONCE};
use crate::flows::Flows;
use crate::flows::store::Idempotency;
use crate::openid::system;
use crate::queue::{Event, Handler, Subscription};
use crate::{Error, Result, hex};

const CHUNK_FLOW: &str = "ingest-chunk";
/// The store that a chunk waits for may be away for a long time.
const DELIVERY_LIMIT: u32 = 1000;
/// A message is settled when its rows are in, or after so long: its run is durable and goes on by itself, and whoever
/// holds messages for longer is taken for dead.
const SETTLE_AFTER: Duration = Duration::from_secs(3);

/// One run a chunk, however often its message comes.
pub struct StartChunks {
    pub flows: Arc<Flows>,
}

#[async_trait]
impl Handler for StartChunks {
    fn subscription(&self) -> Subscription {
        let topics = vec![CHUNK_FOUND.to_owned()];
        Subscription { consumer: CHUNK_FLOW.into(), topics, delivery_limit: DELIVERY_LIMIT }
    }

    /// While the table takes one chunk, others are read.
    fn at_once(&self) -> usize {
        LOADS_AT_ONCE
    }

    async fn handle(&self, event: &Event) -> Result<()> {
        let chunk: ChunkRef = serde_json::from_value(event.data.clone()).map_err(|error| {
            Error::invalid("event.unreadable", "The event has not the shape of its topic.", vec![])
                .because(error)
        })?;
        let input = json!({"file": chunk.file, "chunk": chunk.number});
        let once = Idempotency {
            caller: system().id,
            scope: CHUNK_FOUND.to_owned(),
            key: event.id.to_string(),
            body_sha256: hex(Sha256::digest(input.to_string())),
        };
        let started = self.flows.start(&system(), json!(CHUNK_FLOW), input, Some(once)).await?;
        self.flows.wait(started, SETTLE_AFTER).await.map(drop)
    }
}
