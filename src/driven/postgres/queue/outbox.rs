//! Events beside their facts, and their way into the queue.

use std::time::Duration;

use async_trait::async_trait;
use deadpool_postgres::GenericClient;
use deadpool_postgres::Transaction;
use flow_domain::queue::{Event, Outbox, Queue};
use flow_domain::{Error, Result};
use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{PgQueue, count, error, event, execute};
use crate::driven::postgres::pool::{column, query};

/// How long a broker may take to confirm; less than the database lets a transaction idle.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(20);
/// Held by the one relay. Any number no one else uses.
const RELAY_LOCK: i64 = 0x666c_6f77_6f75_7401;
/// Between two looks for what other processes stored.
const LOOK_EVERY: Duration = Duration::from_secs(1);

const LOCK_KEYS: &str = "select pg_advisory_xact_lock(key) from unnest($1::bigint[]) as key";
const STORE: &str = "
    insert into outbox_event (id, topic, key, data, happened_at)
    select id, topic, key, data, happened_at
    from unnest($1::uuid[], $2::text[], $3::text[], $4::jsonb[], $5::timestamptz[])
        with ordinality as event (id, topic, key, data, happened_at, position)
    order by position
    on conflict (id) do nothing";
const TRY_LOCK: &str = "select pg_try_advisory_xact_lock($1::bigint) as held";
const WAITING: &str = "
    select seq, id, topic, key, data, happened_at from outbox_event order by seq limit $1::bigint";
const RELAYED: &str = "delete from outbox_event where seq = any ($1::bigint[])";

/// Stores events in a fact's own transaction. Those of one key wait here for each other's commit.
pub async fn store(transaction: &impl GenericClient, events: &[Event]) -> Result<()> {
    // In one order everywhere, so that two transactions never wait for each other's keys.
    let mut locks: Vec<i64> = events.iter().map(|event| lock_of(&event.key)).collect();
    locks.sort_unstable();
    locks.dedup();
    query(transaction, LOCK_KEYS, &[&locks]).await?;
    let ids: Vec<Uuid> = events.iter().map(|event| event.id.0).collect();
    let topics: Vec<&str> = events.iter().map(|event| &*event.topic).collect();
    let keys: Vec<&str> = events.iter().map(|event| &*event.key).collect();
    let data: Vec<&Value> = events.iter().map(|event| &event.data).collect();
    let times: Vec<Timestamp> = events.iter().map(|event| event.at).collect();
    execute(transaction, STORE, &[&ids, &topics, &keys, &data, &times]).await.map(drop)
}

#[async_trait]
impl Outbox for PgQueue {
    async fn add(&self, events: &[Event]) -> Result<()> {
        let mut client = self.pool.client().await?;
        let transaction = client.transaction().await.map_err(error::from)?;
        store(&transaction, events).await?;
        transaction.commit().await.map_err(error::from)?;
        self.stirred.notify_one();
        Ok(())
    }

    async fn relay(&self, queue: &dyn Queue, at_most: usize) -> Result<usize> {
        let mut client = self.pool.client().await?;
        let transaction = client.transaction().await.map_err(error::from)?;
        match hand_over(&transaction, queue, at_most).await {
            // A commit that fails after this publishes them again: consumers know them by their ids.
            Ok(relayed) => transaction.commit().await.map_err(error::from).map(|()| relayed),
            Err(refusal) => {
                // Waited for, so that the lock is free when the caller tries again; a dead connection frees it too.
                let _ = transaction.rollback().await;
                Err(refusal)
            }
        }
    }

    async fn stirred(&self) {
        let _ = tokio::time::timeout(LOOK_EVERY, self.stirred.notified()).await;
    }
}

async fn hand_over(transaction: &Transaction<'_>, queue: &dyn Queue, at_most: usize) -> Result<usize> {
    let (seqs, events) = waiting(transaction, at_most).await?;
    if events.is_empty() {
        return Ok(0);
    }
    tokio::time::timeout(PUBLISH_TIMEOUT, queue.publish(&events)).await.map_err(|_| {
        Error::unavailable("queue.unavailable", "The queue does not answer; try again shortly.")
    })??;
    execute(transaction, RELAYED, &[&seqs]).await?;
    Ok(events.len())
}

/// The oldest, if no other relay is at work.
async fn waiting(transaction: &Transaction<'_>, at_most: usize) -> Result<(Vec<i64>, Vec<Event>)> {
    let lock = transaction.query_one(TRY_LOCK, &[&RELAY_LOCK]).await.map_err(error::from)?;
    if !column::<bool>(&lock, "held")? {
        return Ok((vec![], vec![]));
    }
    let rows = transaction.query(WAITING, &[&count(at_most)]).await.map_err(error::from)?;
    let seqs = rows.iter().map(|row| column(row, "seq")).collect::<Result<_>>()?;
    let events = rows.iter().map(|row| event(row, "id")).collect::<Result<_>>()?;
    Ok((seqs, events))
}

fn lock_of(key: &str) -> i64 {
    let hash = Sha256::new().chain_update("flow-manager outbox key").chain_update(key).finalize();
    i64::from_be_bytes(std::array::from_fn(|at| hash[at]))
}
