//! Copies of Terraform states, encrypted with XChaCha20-Poly1305 before they leave the process.

use async_trait::async_trait;
use flow_domain::labs::{StateCopies, StateCopy};
use flow_domain::sealed::Sealed;
use flow_domain::{Error, Result, SessionId};
use tokio_postgres::Row;

use super::error;
use super::pool::{PgPool, column, execute, query_opt};
use crate::driven::sealing::StateKey;

/// Copies of one session come one after another, so that a lower serial never slips in behind a higher one.
const LOCK: &str = "select id from session where id = $1::uuid for no key update";
const KEEP: &str = "
    insert into terraform_state (session_id, lineage, serial, key_id, nonce, ciphertext)
    select $1::uuid, $2::text, $3::bigint, $4::text, $5::bytea, $6::bytea
    where not exists (
        select from terraform_state as kept
        where kept.session_id = $1::uuid and kept.lineage = $2::text and kept.serial > $3::bigint
    )";
const LATEST: &str = "
    select lineage, serial, key_id, nonce, ciphertext
    from terraform_state where session_id = $1::uuid
    order by serial desc, number desc limit 1";

#[derive(Clone)]
pub struct PgStateCopies {
    pool: PgPool,
    key: Option<StateKey>,
}

impl PgStateCopies {
    /// Without a key nothing is kept and nothing can be read; `ready` says so.
    pub fn new(pool: PgPool, key: Option<StateKey>) -> Self {
        Self { pool, key }
    }

    fn key(&self) -> Result<&StateKey> {
        self.key.as_ref().ok_or_else(|| {
            Error::conflict(
                "state_key.missing",
                "Terraform states are kept only encrypted: set FLOW_STATE_KEY, 32 random bytes.",
            )
        })
    }
}

#[async_trait]
impl StateCopies for PgStateCopies {
    fn ready(&self) -> Result<()> {
        self.key().map(drop)
    }

    async fn keep(&self, session: SessionId, copy: StateCopy) -> Result<bool> {
        let key = self.key()?;
        let Sealed { key_id, nonce, ciphertext } = key.seal(&bound_to(session, copy.serial), &copy.bytes)?;
        let mut client = self.pool.client().await?;
        let transaction = client.transaction().await.map_err(error::from)?;
        query_opt(&transaction, LOCK, &[&session.0])
            .await?
            .ok_or_else(|| Error::not_found("session.unknown", "There is no such session."))?;
        // A newest one that cannot be read is no reason to keep no other.
        if let Some(row) = query_opt(&transaction, LATEST, &[&session.0]).await?
            && opened(key, session, &row).is_ok_and(|newest| newest == copy)
        {
            return Ok(false);
        }
        let kept = execute(
            &transaction,
            KEEP,
            &[&session.0, &copy.lineage, &copy.serial, &key_id, &nonce, &ciphertext],
        )
        .await?;
        transaction.commit().await.map_err(error::from)?;
        Ok(kept == 1)
    }

    async fn latest(&self, session: SessionId) -> Result<Option<StateCopy>> {
        let key = self.key()?;
        match self.pool.query_opt(LATEST, &[&session.0]).await? {
            Some(row) => opened(key, session, &row).map(Some),
            None => Ok(None),
        }
    }
}

fn opened(key: &StateKey, session: SessionId, row: &Row) -> Result<StateCopy> {
    let sealed = Sealed {
        key_id: column(row, "key_id")?,
        nonce: column(row, "nonce")?,
        ciphertext: column(row, "ciphertext")?,
    };
    if sealed.key_id != key.id() {
        return Err(Error::conflict(
            "state_key.other",
            "This Terraform state was encrypted with another key than FLOW_STATE_KEY holds now.",
        ));
    }
    let serial = column(row, "serial")?;
    let bytes = key
        .open(&bound_to(session, serial), &sealed)
        .ok_or_else(|| Error::internal(format!("the state copy {serial} of session {session} is damaged")))?;
    Ok(StateCopy { lineage: column(row, "lineage")?, serial, bytes })
}

/// What a ciphertext is bound to, so that a row cannot pass as another session's or another serial's: the
/// session's 16 bytes and the serial, big-endian.
fn bound_to(session: SessionId, serial: i64) -> Vec<u8> {
    [session.0.as_bytes().as_slice(), &serial.to_be_bytes()].concat()
}
