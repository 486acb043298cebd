//! A database for one test.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use flow_manager::driven::postgres::migrate::{MIGRATIONS, migrate_blocking};
use flow_manager::driven::postgres::pool::session_config;
use flow_manager::driven::postgres::{PgFlowStore, PgPool, PoolSettings};
use tokio_postgres::Config;

use super::cluster::cluster;

const TEMPLATE: &str = "flow_template";
const POOL_SIZE: usize = 8;

/// Cloned from a migrated template, dropped with the value.
pub struct TestDb {
    pub config: Config,
    pub pool: PgPool,
    name: String,
}

impl TestDb {
    /// With today's schema and no rows.
    pub async fn new() -> Self {
        Self::made_from(TEMPLATE)
    }

    /// With nothing in it.
    pub async fn empty() -> Self {
        Self::made_from("template0")
    }

    /// Opens every connection of the pool, so that what is started at once runs at once.
    pub async fn warm(&self) {
        let all = futures_util::future::join_all((0..POOL_SIZE).map(|_| self.pool.client())).await;
        assert!(all.iter().all(Result::is_ok));
    }

    pub fn flow_store(&self) -> PgFlowStore {
        let config = session_config(&self.config, &PoolSettings::default());
        PgFlowStore::new(self.pool.clone(), self.pool.clone(), &config)
    }

    /// As the service's settings take it.
    pub fn url(&self) -> String {
        cluster().url(&self.name)
    }

    /// Every row of every table, as text.
    pub async fn dump(&self) -> String {
        let client = self.pool.client().await.unwrap();
        let tables = "select quote_ident(schemaname) || '.' || quote_ident(tablename) from pg_tables
                      where schemaname not in ('pg_catalog', 'information_schema')";
        let mut text = String::new();
        for table in client.query(tables, &[]).await.unwrap() {
            let table: String = table.get(0);
            for row in client.query(&format!("select t::text from {table} t"), &[]).await.unwrap() {
                text.push_str(row.get(0));
                text.push('\n');
            }
        }
        text
    }

    fn made_from(template: &'static str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let statement = format!("create database {name} template {template}");
        let config = in_plain_thread(move || {
            make_template();
            as_admin(&statement);
            cluster().config(statement.split(' ').nth(2).unwrap())
        });
        let pool = PgPool::new(&config, &PoolSettings { size: POOL_SIZE, ..PoolSettings::default() });
        Self { config, pool, name }
    }
}

impl Drop for TestDb {
    fn drop(&mut self) {
        let statement = format!("drop database {} with (force)", self.name);
        let dropped = std::thread::spawn(move || as_admin(&statement)).join();
        // A panic within a panic would end the process and hide the first.
        assert!(dropped.is_ok() || std::thread::panicking());
    }
}

fn make_template() {
    static MADE: OnceLock<()> = OnceLock::new();
    MADE.get_or_init(|| {
        as_admin(&format!("create database {TEMPLATE}"));
        migrate_blocking(cluster().config(TEMPLATE), MIGRATIONS).unwrap();
    });
}

fn as_admin(statement: &str) {
    let config = postgres::Config::from(cluster().config("postgres"));
    config.connect(postgres::NoTls).unwrap().batch_execute(statement).unwrap();
}

/// The synchronous client panics inside a test's runtime.
fn in_plain_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::spawn(work).join().unwrap()
}
