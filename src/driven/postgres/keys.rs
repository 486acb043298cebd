//! Secrets that replicas share, kept in the database they share.

use flow_domain::{Error, Result};

use super::pool::{PgPool, column};

const MAKE: &str = "
    insert into signing_key (purpose, secret) values ('jwt', $1::bytea)
    on conflict (purpose) do nothing";
const READ: &str = "select secret from signing_key where purpose = 'jwt'";

/// The secret that tokens are signed with, at least 32 bytes: made by whoever asks first, the same for all.
pub async fn signing_secret(pool: &PgPool) -> Result<Vec<u8>> {
    if let Some(secret) = read(pool).await? {
        return Ok(secret);
    }
    let fresh: [u8; 32] = rand::random();
    // A loser of the race waits here for the winner's commit, so the row is there when it is read.
    pool.execute(MAKE, &[&fresh.as_slice()]).await?;
    read(pool).await?.ok_or_else(|| Error::internal("the signing key went away while it was made"))
}

async fn read(pool: &PgPool) -> Result<Option<Vec<u8>>> {
    pool.query_opt(READ, &[]).await?.map(|row| column(&row, "secret")).transpose()
}
