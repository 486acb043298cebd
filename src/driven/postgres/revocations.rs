//! Tokens ended before their time.

use std::sync::OnceLock;

use async_trait::async_trait;
use flow_domain::users::{Mark, Revocation, RevocationStore, Revoked};
use flow_domain::{Error, FamilyId, Result, UserId};
use tokio_postgres::{Config, Row};

use super::notices::Doorbell;
use super::pool::{PgPool, column};

const RECORD: &str = "
    with recorded as (
        insert into revocation (kind, subject, generation, until)
        values ($1::text, $2::text, $3::bigint, $4::timestamptz)
        returning 1
    )
    select pg_notify('revocation', '') from recorded";
/// Everything from the reader's last snapshot on: the oldest transaction that was then still going, and later ones.
const READ: &str = "
    select kind, subject, generation, until, pg_snapshot_xmin(pg_current_snapshot())::text as mark
    from (select 1) as always
    left join revocation on until > now() and ($1::text is null or written_by >= $1::text::xid8)";
const FORGET: &str = "delete from revocation where until <= now()";
const LISTEN: &str = "listen revocation";

pub struct PgRevocations {
    pool: PgPool,
    session: Config,
    /// Installed by the first who waits: a command that only records needs none.
    bell: OnceLock<Doorbell>,
}

impl PgRevocations {
    /// `session` is for the connection that listens.
    pub fn new(pool: PgPool, session: Config) -> Self {
        Self { pool, session, bell: OnceLock::new() }
    }
}

#[async_trait]
impl RevocationStore for PgRevocations {
    async fn record(&self, revoked: &Revoked) -> Result<()> {
        let (kind, subject, generation) = match &revoked.what {
            Revocation::Token(jti) => ("token", jti.clone(), None),
            Revocation::Family(id) => ("login", id.to_string(), None),
            Revocation::User { id, generation } => ("user", id.to_string(), Some(*generation)),
        };
        self.pool.query(RECORD, &[&kind, &subject, &generation, &revoked.until]).await.map(drop)
    }

    async fn read(&self, since: Option<&Mark>) -> Result<(Vec<Revoked>, Mark)> {
        let rows = self.pool.query(READ, &[&since.map(|mark| mark.0.as_str())]).await?;
        let first = rows.first().ok_or_else(|| Error::internal("a left join of one row has none"))?;
        let mark = Mark(column(first, "mark")?);
        let new = rows.iter().filter_map(|row| revoked(row).transpose()).collect::<Result<_>>()?;
        Ok((new, mark))
    }

    async fn changed(&self) {
        self.bell.get_or_init(|| Doorbell::install(self.session.clone(), LISTEN)).rings().await;
    }

    async fn forget(&self) -> Result<u64> {
        self.pool.execute(FORGET, &[]).await
    }
}

/// None where there was nothing to join.
fn revoked(row: &Row) -> Result<Option<Revoked>> {
    let Some(kind) = column::<Option<&str>>(row, "kind")? else { return Ok(None) };
    let subject: &str = column(row, "subject")?;
    let strange = || Error::internal(format!("a stored revocation of kind {kind} cannot be read"));
    let what = match kind {
        "token" => Revocation::Token(subject.to_owned()),
        "login" => Revocation::Family(FamilyId::parse(subject).ok_or_else(strange)?),
        "user" => Revocation::User {
            id: UserId::parse(subject).ok_or_else(strange)?,
            generation: column(row, "generation")?,
        },
        _ => return Err(strange()),
    };
    Ok(Some(Revoked { what, until: column(row, "until")? }))
}
