//! Logins and their refresh tokens.

use async_trait::async_trait;
use flow_domain::users::{Family, FamilyState, LoginStore, RefreshHash, Rotation, Verdict, judge};
use flow_domain::{FamilyId, Result, UserId};
use jiff::Timestamp;
use tokio_postgres::Row;

use super::error;
use super::pool::{self, PgPool, column};

const BEGIN: &str = "
    with begun as (
        insert into login (id, user_id, generation, expires_at)
        values ($1::uuid, $2::uuid, $3::bigint, $4::timestamptz)
        returning id
    )
    insert into refresh_token (hash, login_id, number) select $5::bytea, id, 0 from begun";
/// Locked, so that a second use waits and sees what the first one did.
const USE: &str = "
    select login.id, login.user_id, login.generation, login.expires_at, login.newest, login.newest_at,
        login.ended_at is not null as ended, refresh_token.number
    from refresh_token join login on login.id = refresh_token.login_id
    where refresh_token.hash = $1::bytea
    for no key update of login";
const ADVANCE: &str = "
    update login set newest = $2::bigint, newest_at = $3::timestamptz where id = $1::uuid";
const GIVE: &str = "
    insert into refresh_token (hash, login_id, number) values ($1::bytea, $2::uuid, $3::bigint)";
const FAMILY_OF: &str = "
    select login.id, login.user_id, login.generation, login.expires_at
    from refresh_token join login on login.id = refresh_token.login_id
    where refresh_token.hash = $1::bytea";
const END: &str = "update login set ended_at = now() where id = $1::uuid and ended_at is null";
const FORGET: &str = "delete from login where expires_at <= $1::timestamptz";

#[derive(Clone)]
pub struct PgLogins {
    pool: PgPool,
}

impl PgLogins {
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

#[async_trait]
impl LoginStore for PgLogins {
    async fn begin(&self, family: &Family, first: &RefreshHash) -> Result<()> {
        let params: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
            [&family.id.0, &family.user.0, &family.generation, &family.expires_at, &first.0.as_slice()];
        self.pool.execute(BEGIN, &params).await.map(drop)
    }

    async fn rotate(&self, used: &RefreshHash, next: &RefreshHash, at: Timestamp) -> Result<Rotation> {
        let mut client = self.pool.client().await?;
        // Dropped without a commit it is rolled back.
        let writes = client.transaction().await.map_err(error::from)?;
        let Some(row) = pool::query_opt(&writes, USE, &[&used.0.as_slice()]).await? else {
            return Ok(Rotation::Refused);
        };
        let family = family(&row)?;
        let state = FamilyState {
            newest: column(&row, "newest")?,
            newest_at: column(&row, "newest_at")?,
            expires_at: family.expires_at,
            ended: column(&row, "ended")?,
        };
        let verdict = judge(column(&row, "number")?, &state, at);
        let rotation = match verdict {
            Verdict::Refused => return Ok(Rotation::Refused),
            Verdict::Reused => {
                pool::execute(&writes, END, &[&family.id.0]).await?;
                Rotation::Reused(family)
            }
            Verdict::Again(number) | Verdict::Next(number) => {
                if verdict == Verdict::Next(number) {
                    pool::execute(&writes, ADVANCE, &[&family.id.0, &number, &at]).await?;
                }
                pool::execute(&writes, GIVE, &[&next.0.as_slice(), &family.id.0, &number]).await?;
                Rotation::Rotated(family)
            }
        };
        writes.commit().await.map_err(error::from)?;
        Ok(rotation)
    }

    async fn family_of(&self, token: &RefreshHash) -> Result<Option<Family>> {
        let row = self.pool.query_opt(FAMILY_OF, &[&token.0.as_slice()]).await?;
        row.as_ref().map(family).transpose()
    }

    async fn end(&self, family: FamilyId) -> Result<bool> {
        Ok(self.pool.execute(END, &[&family.0]).await? == 1)
    }

    async fn forget(&self, at: Timestamp) -> Result<u64> {
        self.pool.execute(FORGET, &[&at]).await
    }
}

fn family(row: &Row) -> Result<Family> {
    Ok(Family {
        id: FamilyId(column(row, "id")?),
        user: UserId(column(row, "user_id")?),
        generation: column(row, "generation")?,
        expires_at: column(row, "expires_at")?,
    })
}
