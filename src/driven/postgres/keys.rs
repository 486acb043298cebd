//! Secrets that sign tokens, kept in the database that replicas share.

use std::time::Duration;

use deadpool_postgres::GenericClient;
use flow_domain::Result;
use jiff::Timestamp;
use tokio_postgres::Row;

use super::error;
use super::pool::{PgPool, column, execute, query};

/// Writers of keys one after another; who reads them waits for nobody.
const LOCK: &str = "lock table token_key in share row exclusive mode";
/// By the clock, not by the transaction's beginning: who waited for the lock began before the key was made.
const LIVE: &str = "
    select id, secret, signs_from, signs_from <= statement_timestamp() as signs, ends_at
    from token_key
    where ends_at is null or ends_at > now()
    order by signs_from desc, id desc";
const ADD: &str = "
    insert into token_key (secret, signs_from)
    values ($1::bytea, now() + $2::double precision * interval '1 second')";
/// A key that has an end already keeps it, unless the new one is sooner.
const END: &str = "
    update token_key set ends_at = now() + $1::double precision * interval '1 second'
    where ends_at is null or ends_at > now() + $1::double precision * interval '1 second'";
const FORGET: &str = "delete from token_key where ends_at <= now()";

/// One key whose tokens are taken.
pub struct TokenKey {
    pub id: i64,
    /// At least 32 bytes.
    pub secret: Vec<u8>,
    pub signs_from: Timestamp,
    /// Whether that time has come, by the database's clock.
    pub signs: bool,
    /// Its tokens are taken until then; none for the newest.
    pub ends_at: Option<Timestamp>,
}

/// The keys whose tokens are taken, the newest first, made by whoever asks first and the same for all. The first of
/// them that signs is the one to sign with.
pub async fn token_keys(pool: &PgPool) -> Result<Vec<TokenKey>> {
    let client = pool.client().await?;
    let keys = live(&client).await?;
    drop(client);
    if !keys.is_empty() {
        return Ok(keys);
    }
    let mut client = pool.client().await?;
    let transaction = client.transaction().await.map_err(error::from)?;
    execute(&transaction, LOCK, &[]).await?;
    if live(&transaction).await?.is_empty() {
        add(&transaction, Duration::ZERO).await?;
    }
    let keys = live(&transaction).await?;
    transaction.commit().await.map_err(error::from)?;
    Ok(keys)
}

/// Makes a key that signs after `notice`; tokens of those before it are taken for `keep` longer.
pub async fn rotate(pool: &PgPool, notice: Duration, keep: Duration) -> Result<Vec<TokenKey>> {
    let mut client = pool.client().await?;
    let transaction = client.transaction().await.map_err(error::from)?;
    execute(&transaction, LOCK, &[]).await?;
    execute(&transaction, END, &[&(notice + keep).as_secs_f64()]).await?;
    add(&transaction, notice).await?;
    let keys = live(&transaction).await?;
    transaction.commit().await.map_err(error::from)?;
    Ok(keys)
}

/// Forgets keys that have ended; how many there were.
pub async fn forget(pool: &PgPool) -> Result<u64> {
    pool.execute(FORGET, &[]).await
}

async fn add(client: &impl GenericClient, notice: Duration) -> Result<u64> {
    let fresh: [u8; 32] = rand::random();
    execute(client, ADD, &[&fresh.as_slice(), &notice.as_secs_f64()]).await
}

async fn live(client: &impl GenericClient) -> Result<Vec<TokenKey>> {
    query(client, LIVE, &[]).await?.iter().map(token_key).collect()
}

fn token_key(row: &Row) -> Result<TokenKey> {
    Ok(TokenKey {
        id: column(row, "id")?,
        secret: column(row, "secret")?,
        signs_from: column(row, "signs_from")?,
        signs: column(row, "signs")?,
        ends_at: column(row, "ends_at")?,
    })
}
