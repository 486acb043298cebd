//! Lab sessions and their grades.

use async_trait::async_trait;
use flow_domain::labs::{
    BestScore, ELSEWHERE, Grade, Lab, LabSessions, Listed, Session, SessionFilter, SessionStatus, SessionTime,
};
use flow_domain::{Error, Result, RunId, SessionId, UserId};
use serde_json::Value;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::error;
use super::pool::{PgPool, column, query_opt};
use super::{session_list, session_time};

macro_rules! columns {
    () => {
        "id, user_id, lab, lab_version, status, run_id, outputs, shown_outputs, created_at, ended_at,
         idle_s, total_s, warn_s, extend_s, extensions_left, ready_at, seen_at, ending"
    };
}
pub(super) use columns;

/// The update changes nothing: it makes the insert answer the row that is there, however close the race.
const OPEN: &str = concat!(
    "insert into session (
         id, user_id, lab, lab_version, status, shown_outputs, idle_s, total_s, warn_s, extend_s, extensions_left)
     values ($1::uuid, $2::uuid, $3::text, $4::text, 'launching', $5::text[], $6::bigint, $7::bigint, $8::bigint,
         $9::bigint, $10::integer)
     on conflict (user_id, lab) where ended_at is null do update set lab = excluded.lab
     returning ",
    columns!()
);
/// Two labs that want their learner alone are opened one after the other.
const LOCK_USER: &str = "select id from app_user where id = $1::uuid for no key update";
const ELSEWHERE_OPEN: &str = "
    select id from session where user_id = $1::uuid and lab <> $2::text and ended_at is null limit 1";
const LIVE: &str = concat!(
    "select ",
    columns!(),
    " from session where user_id = $1::uuid and lab = $2::text and ended_at is null"
);
const MEMBERS: &str = "
    select user_id from session where lab = $1::text and user_id = any ($2::uuid[]) and ended_at is null";
const LIVE_OF: &str = concat!(
    "select ",
    columns!(),
    " from session where user_id = $1::uuid and ended_at is null order by created_at, id"
);
const SESSION: &str = concat!("select ", columns!(), " from session where id = $1::uuid");
/// The run noted after it: this one, or the one that was first.
const SET_RUN: &str = "
    update session
    set run_id = case when run_id is not distinct from $2::uuid then $3::uuid else run_id end
    where id = $1::uuid
    returning run_id";
const SET_STATUS: &str = "
    update session
    set status = $2::text, outputs = coalesce($3::jsonb, outputs), ended_at = case when $4::boolean then now() end
    where id = $1::uuid and ended_at is null
    returning id";
const STATUS: &str = "select status from session where id = $1::uuid";
/// Attempts of one session are numbered one at a time.
const LOCK: &str = "select id from session where id = $1::uuid for no key update";
const ADD_GRADE: &str = "
    insert into grade (session_id, attempt, run_id, score, max, tests, feedback, grader_sha256, lab_version, duration_ms)
    select $1::uuid, coalesce(max(earlier.attempt), 0) + 1, $2::uuid, $3::double precision, $4::double precision,
        $5::jsonb, $6::text, $7::text, $8::text, $9::bigint
    from grade as earlier where earlier.session_id = $1::uuid
    on conflict (session_id, run_id) do nothing
    returning attempt";
const ATTEMPT: &str = "select attempt from grade where session_id = $1::uuid and run_id = $2::uuid";
const GRADES: &str = "
    select session_id, run_id, score, max, tests, feedback, grader_sha256, lab_version, duration_ms
    from grade where session_id = $1::uuid order by attempt";

#[derive(Clone)]
pub struct PgLabSessions {
    pool: PgPool,
}

impl PgLabSessions {
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

#[async_trait]
impl LabSessions for PgLabSessions {
    /// A user without an account is the conflict `user.unknown`.
    async fn open(&self, user: UserId, lab: &Lab) -> Result<Session> {
        let id = SessionId::new();
        let mut client = self.pool.client().await?;
        let transaction = client.transaction().await.map_err(error::from)?;
        if lab.limits.one_at_a_time {
            query_opt(&transaction, LOCK_USER, &[&user.0]).await?;
            if query_opt(&transaction, ELSEWHERE_OPEN, &[&user.0, &lab.name]).await?.is_some() {
                return Err(Error::conflict("session.elsewhere", ELSEWHERE));
            }
        }
        let time = SessionTime::of(&lab.limits);
        let values: [&(dyn ToSql + Sync); 10] = [
            &id.0,
            &user.0,
            &lab.name,
            &lab.version,
            &lab.outputs,
            &time.idle_s,
            &time.total_s,
            &time.warn_s,
            &time.extend_s,
            &time.extensions_left,
        ];
        let row = query_opt(&transaction, OPEN, &values).await?;
        transaction.commit().await.map_err(error::from)?;
        session(&row.ok_or_else(|| Error::internal("opening a session answered no row"))?)
    }

    async fn live(&self, user: UserId, lab: &str) -> Result<Option<Session>> {
        let row = self.pool.query_opt(LIVE, &[&user.0, &lab]).await?;
        row.as_ref().map(session).transpose()
    }

    async fn members(&self, lab: &str, users: &[UserId]) -> Result<Vec<UserId>> {
        let users: Vec<Uuid> = users.iter().map(|user| user.0).collect();
        let rows = self.pool.query(MEMBERS, &[&lab, &users]).await?;
        rows.iter().map(|row| Ok(UserId(column(row, "user_id")?))).collect()
    }

    async fn live_of(&self, user: UserId) -> Result<Vec<Session>> {
        self.pool.query(LIVE_OF, &[&user.0]).await?.iter().map(session).collect()
    }

    async fn session(&self, id: SessionId) -> Result<Option<Session>> {
        self.pool.query_opt(SESSION, &[&id.0]).await?.as_ref().map(session).transpose()
    }

    async fn find(&self, filter: &SessionFilter) -> Result<Vec<Listed>> {
        session_list::find(&self.pool, filter).await
    }

    async fn bests(&self, user: UserId) -> Result<Vec<BestScore>> {
        session_list::bests(&self.pool, user).await
    }

    async fn set_run(&self, id: SessionId, before: Option<RunId>, run: RunId) -> Result<RunId> {
        let row = self.pool.query_opt(SET_RUN, &[&id.0, &before.map(|run| run.0), &run.0]).await?;
        Ok(RunId(column(&row.ok_or_else(unknown)?, "run_id")?))
    }

    async fn add_run(&self, id: SessionId, run: RunId) -> Result<()> {
        session_time::add_run(&self.pool, id, run).await
    }

    async fn touch(&self, id: SessionId) -> Result<()> {
        session_time::touch(&self.pool, id).await
    }

    async fn extend(&self, id: SessionId) -> Result<Session> {
        session_time::extend(&self.pool, id).await
    }

    async fn warnings(&self) -> Result<Vec<Session>> {
        session_time::warnings(&self.pool).await
    }

    async fn run_out(&self) -> Result<Vec<Session>> {
        session_time::run_out(&self.pool).await
    }

    async fn set_status(&self, id: SessionId, status: SessionStatus, outputs: Option<Value>) -> Result<()> {
        let client = self.pool.client().await?;
        let moved =
            query_opt(&client, SET_STATUS, &[&id.0, &status.as_str(), &outputs, &status.is_final()]).await?;
        if moved.is_some() {
            return Ok(());
        }
        let ended_as: String = match query_opt(&client, STATUS, &[&id.0]).await? {
            Some(row) => column(&row, "status")?,
            None => return Err(unknown()),
        };
        if ended_as == status.as_str() {
            return Ok(());
        }
        Err(Error::conflict("session.ended", format!("This session is over: it is {ended_as}.")))
    }

    async fn add_grade(&self, grade: &Grade) -> Result<u32> {
        let mut client = self.pool.client().await?;
        let transaction = client.transaction().await.map_err(error::from)?;
        query_opt(&transaction, LOCK, &[&grade.session.0]).await?.ok_or_else(unknown)?;
        let added = query_opt(
            &transaction,
            ADD_GRADE,
            &[
                &grade.session.0,
                &grade.run.0,
                &grade.score,
                &grade.max,
                &grade.tests,
                &grade.feedback,
                &grade.grader_sha256,
                &grade.lab_version,
                &grade.duration_ms,
            ],
        )
        .await?;
        let row = match added {
            Some(row) => row,
            None => query_opt(&transaction, ATTEMPT, &[&grade.session.0, &grade.run.0])
                .await?
                .ok_or_else(|| Error::internal("a grade that stands in the way is not there"))?,
        };
        transaction.commit().await.map_err(error::from)?;
        let attempt: i32 = column(&row, "attempt")?;
        u32::try_from(attempt).map_err(Error::internal)
    }

    async fn grades(&self, session: SessionId) -> Result<Vec<Grade>> {
        self.pool.query(GRADES, &[&session.0]).await?.iter().map(grade).collect()
    }
}

pub(super) fn unknown() -> Error {
    Error::not_found("session.unknown", "There is no such session.")
}

pub(super) fn session(row: &Row) -> Result<Session> {
    let status: &str = column(row, "status")?;
    Ok(Session {
        id: SessionId(column(row, "id")?),
        user: UserId(column(row, "user_id")?),
        lab: column(row, "lab")?,
        lab_version: column(row, "lab_version")?,
        status: SessionStatus::parse(status)
            .ok_or_else(|| Error::internal(format!("stored session status {status} is unknown")))?,
        run: column::<Option<Uuid>>(row, "run_id")?.map(RunId),
        outputs: column(row, "outputs")?,
        shown: column(row, "shown_outputs")?,
        created_at: column(row, "created_at")?,
        ended_at: column(row, "ended_at")?,
        time: session_time::time(row)?,
    })
}

fn grade(row: &Row) -> Result<Grade> {
    Ok(Grade {
        session: SessionId(column(row, "session_id")?),
        run: RunId(column(row, "run_id")?),
        score: column(row, "score")?,
        max: column(row, "max")?,
        tests: column(row, "tests")?,
        feedback: column(row, "feedback")?,
        grader_sha256: column(row, "grader_sha256")?,
        lab_version: column(row, "lab_version")?,
        duration_ms: column(row, "duration_ms")?,
    })
}
