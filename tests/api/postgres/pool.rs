use std::time::{Duration, Instant};

use flow_domain::{Error, Kind};
use flow_manager::driven::postgres::{PgPool, PoolSettings};

use crate::harness::TestDb;

fn settings() -> PoolSettings {
    PoolSettings { size: 2, wait_timeout: Duration::from_millis(50), ..PoolSettings::default() }
}

fn seen(error: &Error) -> (Kind, &'static str, Option<u64>) {
    (error.kind, error.code, error.retry_after_s)
}

const BUSY: (Kind, &str, Option<u64>) = (Kind::Unavailable, "database.busy", Some(2));
const AWAY: (Kind, &str, Option<u64>) = (Kind::Unavailable, "database.unavailable", Some(2));

#[tokio::test]
async fn an_exhausted_pool_says_busy_in_time_and_recovers() {
    let db = TestDb::empty().await;
    let pool = PgPool::new(&db.config, &settings());
    let held = (pool.client().await.unwrap(), pool.client().await.unwrap());
    let started = Instant::now();
    assert_eq!(seen(&pool.client().await.map(drop).unwrap_err()), BUSY);
    assert!(started.elapsed() < Duration::from_secs(30));
    drop(held);
    pool.ping().await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_not_there_is_away() {
    let nowhere = tempfile::tempdir().unwrap();
    let mut config = tokio_postgres::Config::new();
    config.host_path(nowhere.path()).user("postgres");
    let refusal = PgPool::new(&config, &settings()).ping().await.unwrap_err();
    assert_eq!(seen(&refusal), AWAY);
    assert!(!refusal.public.contains(nowhere.path().to_str().unwrap()));
}

#[tokio::test]
async fn a_database_that_is_not_there_is_away() {
    let db = TestDb::empty().await;
    let mut config = db.config.clone();
    config.dbname("never_made");
    let refusal = PgPool::new(&config, &settings()).ping().await.unwrap_err();
    assert_eq!(seen(&refusal), AWAY);
    assert!(refusal.cause.unwrap().contains("3D000"));
}

#[tokio::test]
async fn a_closed_pool_is_away() {
    let db = TestDb::empty().await;
    db.pool.close();
    assert_eq!(seen(&db.pool.ping().await.unwrap_err()), AWAY);
}

#[tokio::test]
async fn connections_that_the_server_ended_are_replaced() {
    let db = TestDb::empty().await;
    let victim = db.pool.client().await.unwrap();
    let pid: i32 = victim.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
    db.pool.execute("select pg_terminate_backend($1::integer)", &[&pid]).await.unwrap();
    let lost = flow_manager::driven::postgres::pool::query(&victim, "select 1", &[]).await.unwrap_err();
    assert_eq!(seen(&lost), AWAY);
    // The server says goodbye a moment before it hangs up, and only the second is seen by the pool.
    let hung_up = async {
        while !victim.is_closed() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), hung_up).await.expect("the server ended this connection");
    drop(victim);
    let both = (db.pool.client().await.unwrap(), db.pool.client().await.unwrap());
    for client in [&both.0, &both.1] {
        flow_manager::driven::postgres::pool::query(client, "select 1", &[]).await.unwrap();
    }
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_busy() {
    let db = TestDb::empty().await;
    let settings = PoolSettings { statement_timeout: Duration::from_millis(50), ..settings() };
    let pool = PgPool::new(&db.config, &settings);
    assert_eq!(seen(&pool.query("select pg_sleep(60)", &[]).await.unwrap_err()), BUSY);
    pool.ping().await.unwrap();
}

#[tokio::test]
async fn a_lock_that_takes_too_long_is_busy() {
    let db = TestDb::empty().await;
    let settings = PoolSettings { lock_timeout: Duration::from_millis(50), ..settings() };
    let pool = PgPool::new(&db.config, &settings);
    let holder = db.pool.client().await.unwrap();
    holder.execute("select pg_advisory_lock(7)", &[]).await.unwrap();
    assert_eq!(seen(&pool.query("select pg_advisory_lock(7)", &[]).await.unwrap_err()), BUSY);
}

#[tokio::test]
async fn every_connection_has_the_settings_and_keeps_those_it_was_given() {
    let db = TestDb::empty().await;
    let mut config = db.config.clone();
    config.options("-c geqo=off");
    let pool = PgPool::new(&config, &PoolSettings::default());
    const SHOWN: &str = "
        select current_setting(name) from unnest(array['statement_timeout', 'lock_timeout',
            'idle_in_transaction_session_timeout', 'application_name', 'TimeZone', 'geqo']) as name";
    let rows = pool.query(SHOWN, &[]).await.unwrap();
    let shown: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(shown, ["30s", "10s", "1min", "flow-manager", "UTC", "off"]);
}

#[tokio::test]
async fn a_statement_is_prepared_once_a_connection() {
    let db = TestDb::empty().await;
    let pool = PgPool::new(&db.config, &PoolSettings { size: 1, ..settings() });
    for _ in 0..3 {
        pool.query("select 'prepared once'", &[]).await.unwrap();
    }
    const PREPARED: &str = "select from pg_prepared_statements where statement like 'select ''prepared%'";
    assert_eq!(pool.query(PREPARED, &[]).await.unwrap().len(), 1);
}
