//! Copies of Terraform states, encrypted with XChaCha20-Poly1305 before they leave the process.

use std::fmt;

use async_trait::async_trait;
use chacha20poly1305::aead::{Aead, AeadCore, KeyInit, OsRng, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use flow_domain::labs::{StateCopies, StateCopy};
use flow_domain::{Error, Result, SessionId};
use sha2::{Digest, Sha256};

use super::error;
use super::pool::{PgPool, column, execute, query_opt};

/// Copies of one session come one after another, so that a lower serial never slips in behind a higher one.
const LOCK: &str = "select id from session where id = $1::uuid for no key update";
const KEEP: &str = "
    insert into terraform_state (session_id, lineage, serial, key_id, nonce, ciphertext)
    select $1::uuid, $2::text, $3::bigint, $4::text, $5::bytea, $6::bytea
    where not exists (
        select from terraform_state as kept
        where kept.session_id = $1::uuid and kept.lineage = $2::text and kept.serial > $3::bigint
    )
    on conflict (session_id, lineage, serial) do update
    set key_id = excluded.key_id, nonce = excluded.nonce, ciphertext = excluded.ciphertext, kept_at = now()";
const LATEST: &str = "
    select lineage, serial, key_id, nonce, ciphertext
    from terraform_state where session_id = $1::uuid
    order by serial desc, kept_at desc limit 1";

/// The key of all copies: 32 random bytes, from `FLOW_STATE_KEY`.
#[derive(Clone)]
pub struct StateKey {
    id: String,
    cipher: XChaCha20Poly1305,
}

impl StateKey {
    pub fn new(key: &[u8; 32]) -> Self {
        // Which key it was, without the key: enough to tell a wrong one from a damaged copy.
        let hash = Sha256::new().chain_update("flow-manager state key").chain_update(key).finalize();
        let id = flow_domain::hex(&hash[..8]);
        Self { id, cipher: XChaCha20Poly1305::new(key.into()) }
    }
}

impl fmt::Debug for StateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StateKey({})", self.id)
    }
}

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
        let nonce = XChaCha20Poly1305::generate_nonce(&mut OsRng);
        let bound = bound_to(session, copy.serial);
        let ciphertext = key
            .cipher
            .encrypt(&nonce, Payload { msg: &copy.bytes, aad: &bound })
            .map_err(|_| Error::internal("a state copy could not be encrypted"))?;
        let mut client = self.pool.client().await?;
        let transaction = client.transaction().await.map_err(error::from)?;
        query_opt(&transaction, LOCK, &[&session.0])
            .await?
            .ok_or_else(|| Error::not_found("session.unknown", "There is no such session."))?;
        let kept = execute(
            &transaction,
            KEEP,
            &[&session.0, &copy.lineage, &copy.serial, &key.id, &nonce.as_slice(), &ciphertext],
        )
        .await?;
        transaction.commit().await.map_err(error::from)?;
        Ok(kept == 1)
    }

    async fn latest(&self, session: SessionId) -> Result<Option<StateCopy>> {
        let key = self.key()?;
        let Some(row) = self.pool.query_opt(LATEST, &[&session.0]).await? else {
            return Ok(None);
        };
        if column::<&str>(&row, "key_id")? != key.id {
            return Err(Error::conflict(
                "state_key.other",
                "This Terraform state was encrypted with another key than FLOW_STATE_KEY holds now.",
            ));
        }
        let serial = column(&row, "serial")?;
        let bytes = key
            .cipher
            .decrypt(
                // Its length is a check constraint of the table.
                XNonce::from_slice(column(&row, "nonce")?),
                Payload { msg: column(&row, "ciphertext")?, aad: &bound_to(session, serial) },
            )
            .map_err(|_| {
                Error::internal(format!("the state copy {serial} of session {session} is damaged"))
            })?;
        Ok(Some(StateCopy { lineage: column(&row, "lineage")?, serial, bytes }))
    }
}

/// What a ciphertext is bound to, so that a row cannot pass as another session's or another serial's: the
/// session's 16 bytes and the serial, big-endian.
fn bound_to(session: SessionId, serial: i64) -> Vec<u8> {
    [session.0.as_bytes().as_slice(), &serial.to_be_bytes()].concat()
}
