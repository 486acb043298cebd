//! Which sessions there are, and what each learner's best attempts are.

use flow_domain::labs::{BestScore, Listed, SessionFilter};
use flow_domain::{Error, Result, SessionId, UserId};
use tokio_postgres::Row;

use super::lab_sessions::{columns, session};
use super::pool::{PgPool, column};

/// An account is called by its name, else its username, else its address.
const FIND: &str = concat!(
    "select ",
    columns!(),
    ", (select coalesce(nullif(u.name, ''), u.username, u.email) from app_user u where u.id = session.user_id) as learner
     from session
     where ($1::uuid is null or id = $1::uuid) and ($2::text is null or lab = $2::text)
         and ($3::uuid is null or user_id = $3::uuid) and ($4::text is null or status = $4::text)
         and ($5::uuid is null or id < $5::uuid)
     order by id desc limit $6::bigint"
);
const BESTS: &str = "
    select distinct on (s.lab) s.lab, s.id, g.attempt, g.score, g.max
    from session s join grade g on g.session_id = s.id
    where s.user_id = $1::uuid and g.max > 0
    order by s.lab, g.score / g.max desc, g.graded_at, g.attempt";

pub(super) async fn find(pool: &PgPool, filter: &SessionFilter) -> Result<Vec<Listed>> {
    let limit = i64::try_from(filter.limit).map_err(Error::internal)?;
    let rows = pool
        .query(
            FIND,
            &[
                &filter.id.map(|id| id.0),
                &filter.lab,
                &filter.user.map(|user| user.0),
                &filter.status.map(|status| status.as_str()),
                &filter.before.map(|id| id.0),
                &limit,
            ],
        )
        .await?;
    rows.iter().map(|row| Ok(Listed { session: session(row)?, learner: column(row, "learner")? })).collect()
}

pub(super) async fn bests(pool: &PgPool, user: UserId) -> Result<Vec<BestScore>> {
    pool.query(BESTS, &[&user.0]).await?.iter().map(best).collect()
}

fn best(row: &Row) -> Result<BestScore> {
    let attempt: i32 = column(row, "attempt")?;
    Ok(BestScore {
        lab: column(row, "lab")?,
        session: SessionId(column(row, "id")?),
        attempt: u32::try_from(attempt).map_err(Error::internal)?,
        score: column(row, "score")?,
        max: column(row, "max")?,
    })
}
