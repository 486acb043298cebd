//! Connections: a bounded pool that says "busy" instead of hanging, and statements prepared once a connection.

use std::time::Duration;

use deadpool_postgres::{
    Client, GenericClient, Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime, Status,
    TimeoutType,
};
use flow_domain::{Error, Result};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, Row};

use super::error;
use super::tls::Tls;

/// How long to try to reach a server before it counts as away.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a peer may leave our bytes unacknowledged before its connection counts as dead.
const PEER_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolSettings {
    /// The most connections open at once.
    pub size: usize,
    /// How long a caller waits for one before it is told that the database is busy.
    pub wait_timeout: Duration,
    /// The server ends a longer statement.
    pub statement_timeout: Duration,
    /// The server ends a statement that waits longer for a lock.
    pub lock_timeout: Duration,
    /// Seen in `pg_stat_activity`.
    pub application_name: String,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            size: 16,
            wait_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
            lock_timeout: Duration::from_secs(10),
            application_name: "flow-manager".into(),
        }
    }
}

/// `config` with the timeouts and the name every connection of ours has, those outside the pool included.
/// What `config` says itself about connecting stands; its `options` come before ours.
pub fn session_config(config: &Config, settings: &PoolSettings) -> Config {
    let mut session = config.clone();
    let given = config.get_options().map(|options| format!("{options} ")).unwrap_or_default();
    session.application_name(&settings.application_name).options(format!(
        "{given}-c statement_timeout={} -c lock_timeout={} -c idle_in_transaction_session_timeout={} -c timezone=UTC",
        settings.statement_timeout.as_millis(),
        settings.lock_timeout.as_millis(),
        settings.statement_timeout.as_millis() * 2,
    ));
    if config.get_connect_timeout().is_none() {
        session.connect_timeout(CONNECT_TIMEOUT);
    }
    if config.get_tcp_user_timeout().is_none() {
        session.tcp_user_timeout(PEER_TIMEOUT);
    }
    session
}

/// A pool of connections to one database. Cheap to clone.
#[derive(Clone)]
pub struct PgPool {
    pool: Pool,
}

impl PgPool {
    /// Connects to nothing yet: the first caller does.
    pub fn new(config: &Config, settings: &PoolSettings) -> Self {
        // A connection whose task has ended is seen as closed without asking the server, so a check costs nothing;
        // one that dies later fails its statement, and the caller is told to come back.
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(session_config(config, settings), Tls, recycling);
        let pool = Pool::builder(manager)
            .max_size(settings.size)
            .wait_timeout(Some(settings.wait_timeout))
            .create_timeout(Some(CONNECT_TIMEOUT * 2))
            .runtime(Runtime::Tokio1)
            .build()
            .expect("only timeouts without a runtime are refused, and there is one");
        Self { pool }
    }

    /// A connection of one's own until it is dropped.
    ///
    /// `Unavailable` with `database.busy` when none came free in time, `database.unavailable` when none could be
    /// made or the pool is closed.
    pub async fn client(&self) -> Result<Client> {
        self.pool.get().await.map_err(|refusal| match refusal {
            PoolError::Timeout(TimeoutType::Wait) => error::busy("no connection came free in time"),
            // Whatever the reason, a server that does not let us in is away; the reason is in the cause.
            PoolError::Backend(cause) => error::away(error::describe(&cause)),
            other => error::away(other),
        })
    }

    /// All rows of a statement on any connection.
    pub async fn query(&self, sql: &'static str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>> {
        query(&self.client().await?, sql, params).await
    }

    /// The row of a statement that has at most one.
    pub async fn query_opt(&self, sql: &'static str, params: &[&(dyn ToSql + Sync)]) -> Result<Option<Row>> {
        query_opt(&self.client().await?, sql, params).await
    }

    /// How many rows a statement touched.
    pub async fn execute(&self, sql: &'static str, params: &[&(dyn ToSql + Sync)]) -> Result<u64> {
        execute(&self.client().await?, sql, params).await
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<()> {
        self.query("select 1", &[]).await.map(drop)
    }

    pub fn status(&self) -> Status {
        self.pool.status()
    }

    /// Waiting and later callers are told that the database is away; connections in use end with their users.
    pub fn close(&self) {
        self.pool.close();
    }
}

/// All rows of a statement, prepared once a connection. Statements are constants: a value cannot be formatted in.
pub async fn query<C: GenericClient>(
    client: &C,
    sql: &'static str,
    params: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>> {
    let statement = client.prepare_cached(sql).await.map_err(error::from)?;
    client.query(&statement, params).await.map_err(error::from)
}

/// The row of a statement that has at most one.
pub async fn query_opt<C: GenericClient>(
    client: &C,
    sql: &'static str,
    params: &[&(dyn ToSql + Sync)],
) -> Result<Option<Row>> {
    let statement = client.prepare_cached(sql).await.map_err(error::from)?;
    client.query_opt(&statement, params).await.map_err(error::from)
}

/// How many rows a statement touched.
pub async fn execute<C: GenericClient>(
    client: &C,
    sql: &'static str,
    params: &[&(dyn ToSql + Sync)],
) -> Result<u64> {
    let statement = client.prepare_cached(sql).await.map_err(error::from)?;
    client.execute(&statement, params).await.map_err(error::from)
}

/// A column of a row, by name; one that is missing or of another type is our fault, not the caller's.
pub fn column<'row, T: tokio_postgres::types::FromSql<'row>>(row: &'row Row, name: &str) -> Result<T> {
    row.try_get(name).map_err(Error::internal)
}
