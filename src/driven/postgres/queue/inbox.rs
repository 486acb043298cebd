//! What consumers have dealt with.

use deadpool_postgres::GenericClient;
use flow_domain::{EventId, Result};

use crate::driven::postgres::pool::{PgPool, execute};

const ENTER: &str = "
    insert into inbox_event (consumer, event_id) values ($1::text, $2::uuid) on conflict do nothing";
/// Nothing is delivered again after so long.
const PRUNE: &str = "delete from inbox_event where handled_at < now() - interval '30 days'";

/// Remembers in the consumer's own transaction that it deals with the event; `false`: it has before, and there is
/// nothing to do. A second one at the same time waits here for the first one's commit.
pub async fn enter(transaction: &impl GenericClient, consumer: &str, event: EventId) -> Result<bool> {
    Ok(execute(transaction, ENTER, &[&consumer, &event.0]).await? == 1)
}

/// Forgets what is older than anything that can still come.
pub async fn prune(pool: &PgPool) -> Result<u64> {
    pool.execute(PRUNE, &[]).await
}
