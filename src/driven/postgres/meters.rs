//! What the database says of all processes together, and how this one stands with it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use flow_domain::Result;
use flow_domain::meters::{Family, Histogram, Meters, Reading, SECONDS, SIZES, Sample};
use tokio_postgres::Row;

use super::pool::{PgPool, column};

/// A look that takes longer is left out.
const PATIENCE: Duration = Duration::from_secs(2);
/// A process that has not renewed its lease for longer counts as dead.
const ALIVE_WITHIN_S: f64 = 5.0;

/// Batches of the checkpoint writer.
#[derive(Debug)]
pub struct BatchMeters {
    writes: Histogram,
    took: Histogram,
}

impl Default for BatchMeters {
    fn default() -> Self {
        Self { writes: Histogram::new(SIZES), took: Histogram::new(SECONDS) }
    }
}

impl BatchMeters {
    pub(super) fn stored(&self, writes: usize, took: Duration) {
        self.writes.observe(writes as f64);
        self.took.took(took);
    }
}

pub struct PgMeters {
    pub pool: PgPool,
    pub batches: Arc<BatchMeters>,
}

#[async_trait]
impl Meters for PgMeters {
    async fn read(&self) -> Vec<Family> {
        let status = self.pool.status();
        let idle = status.available;
        let connections =
            [("idle", idle), ("in_use", status.size - idle.min(status.size)), ("most", status.max_size)];
        let connections =
            connections.map(|(state, count)| Sample::new([("state", state)], Reading::Gauge(count as f64)));
        let mut families = vec![
            Family::new("database_connections", "Connections of the pool", connections.into()),
            gauge("database_waiting", "Callers who wait for a connection", status.waiting as f64),
            Family::of_one(
                "checkpoint_batch_writes",
                "Checkpoints and new runs in one commit",
                self.batches.writes.reading(),
            ),
            Family::of_one(
                "checkpoint_duration_seconds",
                "What one commit took",
                self.batches.took.reading(),
            ),
        ];
        let shared = tokio::time::timeout(PATIENCE, self.shared()).await;
        let up = matches!(shared, Ok(Ok(_)));
        families.push(gauge(
            "database_up",
            "Whether the database answered this look",
            f64::from(u8::from(up)),
        ));
        families.extend(shared.into_iter().flatten().flatten());
        families
    }
}

impl PgMeters {
    /// The same whichever process is asked.
    async fn shared(&self) -> Result<Vec<Family>> {
        // Each count is read from an index that holds only what it counts.
        const COUNTS: &str = "
            select (select count(*) from flow_run where owner is not null) as owned,
                   (select count(*) from flow_run where claimable_at <= now()) as claimable,
                   (select count(*) from flow_run where claimable_at > now()) as sleeping,
                   (select coalesce(extract(epoch from now() - min(claimable_at)), 0)::float8 from flow_run
                    where claimable_at <= now()) as oldest_s,
                   (select count(*) from worker
                    where heartbeat_at > now() - make_interval(secs => $1::float8)) as workers,
                   (select count(*) from outbox_event) as outbox";
        let Some(row) = self.pool.query_opt(COUNTS, &[&ALIVE_WITHIN_S]).await? else { return Ok(Vec::new()) };
        let count = |name| column::<i64>(&row, name).map(|count| count as f64);
        let by_consumer = |rows: Vec<Row>| {
            let sample = |row: &Row| {
                let consumer: String = column(row, "consumer")?;
                let count = column::<i64>(row, "count")? as f64;
                Ok(Sample::new([("consumer", &consumer)], Reading::Gauge(count)))
            };
            rows.iter().map(sample).collect::<Result<Vec<_>>>()
        };
        let messages = "select consumer, count(*) as count from queue_message group by consumer";
        let dead = "select consumer, count(*) as count from dead_letter group by consumer";
        Ok(vec![
            gauge("runs_owned", "Runs that some process drives", count("owned")?),
            gauge("runs_claimable", "Runs whose time has come and that nobody drives", count("claimable")?),
            gauge("runs_sleeping", "Runs that wait for a time", count("sleeping")?),
            gauge(
                "runs_claimable_oldest_seconds",
                "How long the oldest of them waits",
                column(&row, "oldest_s")?,
            ),
            gauge("workers", "Processes that hold their lease", count("workers")?),
            gauge("outbox_events", "Events that are stored and not yet published", count("outbox")?),
            Family::new(
                "queue_events",
                "Events in PostgreSQL's queue that a consumer has not dealt with",
                by_consumer(self.pool.query(messages, &[]).await?)?,
            ),
            Family::new(
                "dead_letters",
                "Events in PostgreSQL's queue that a consumer could not deal with",
                by_consumer(self.pool.query(dead, &[]).await?)?,
            ),
        ])
    }
}

fn gauge(name: &'static str, help: &'static str, value: f64) -> Family {
    Family::of_one(name, help, Reading::Gauge(value))
}
