//! A session's time. When it is over is worked out by a trigger of the table, whatever changes the row.

use flow_domain::labs::{Ending, Session, SessionTime};
use flow_domain::{Error, Result, RunId, SessionId};
use tokio_postgres::Row;

use super::lab_sessions::{columns, session, unknown};
use super::pool::{PgPool, column, query_opt};

const ADD_RUN: &str = "
    insert into session_run (session_id, run_id) values ($1::uuid, $2::uuid) on conflict do nothing";
/// Once a second is often enough, and spares the row of a session whose page asks all the time.
const TOUCH: &str = "
    update session set seen_at = now()
    where id = $1::uuid and ready_at is not null and ended_at is null and ending is null
        and seen_at < now() - interval '1 second'";
const EXTEND: &str = concat!(
    "update session set total_s = total_s + extend_s, extensions_left = extensions_left - 1, seen_at = now()
     where id = $1::uuid and status in ('ready', 'grading') and ending is null and extensions_left > 0
     returning ",
    columns!()
);
const SESSION: &str = concat!("select ", columns!(), " from session where id = $1::uuid");
const WARNINGS: &str = concat!(
    "update session set warned_for = expires_at
     where ended_at is null and status in ('ready', 'grading') and ending is null
         and expires_at <= now() + warn_s * interval '1 second' and expires_at > now()
         and warned_for is distinct from expires_at
     returning ",
    columns!()
);
/// One that stays as it is was not heard by anyone who lived long enough: it is asked for again.
const RUN_OUT: &str = concat!(
    "update session set ending_tried_at = now(), ending = coalesce(ending, case
         when seen_at + idle_s * interval '1 second' < ready_at + total_s * interval '1 second' then 'idle'
         else 'total' end)
     where ended_at is null and status in ('ready', 'grading') and expires_at <= now()
         and (ending_tried_at is null or ending_tried_at < now() - interval '1 minute')
     returning ",
    columns!()
);

pub(super) async fn add_run(pool: &PgPool, id: SessionId, run: RunId) -> Result<()> {
    pool.execute(ADD_RUN, &[&id.0, &run.0]).await.map(drop)
}

pub(super) async fn touch(pool: &PgPool, id: SessionId) -> Result<()> {
    pool.execute(TOUCH, &[&id.0]).await.map(drop)
}

pub(super) async fn extend(pool: &PgPool, id: SessionId) -> Result<Session> {
    let client = pool.client().await?;
    if let Some(row) = query_opt(&client, EXTEND, &[&id.0]).await? {
        return session(&row);
    }
    let row = query_opt(&client, SESSION, &[&id.0]).await?.ok_or_else(unknown)?;
    Err(refusal(&session(&row)?))
}

/// Why a session is not extended.
fn refusal(session: &Session) -> Error {
    if session.time.ending.is_some() {
        return Error::conflict("session.ending", "This session's time is over; it is being taken down.");
    }
    if session.time.extensions_left == 0 {
        return Error::conflict("session.no_extension", "This session cannot be extended any more.");
    }
    let public = format!("This session is {}; only one that is ready has a time.", session.status.as_str());
    Error::conflict("session.not_ready", public)
}

pub(super) async fn warnings(pool: &PgPool) -> Result<Vec<Session>> {
    pool.query(WARNINGS, &[]).await?.iter().map(session).collect()
}

pub(super) async fn run_out(pool: &PgPool) -> Result<Vec<Session>> {
    pool.query(RUN_OUT, &[]).await?.iter().map(session).collect()
}

pub(super) fn time(row: &Row) -> Result<SessionTime> {
    let ending: Option<&str> = column(row, "ending")?;
    Ok(SessionTime {
        idle_s: column(row, "idle_s")?,
        total_s: column(row, "total_s")?,
        warn_s: column(row, "warn_s")?,
        extend_s: column(row, "extend_s")?,
        extensions_left: column(row, "extensions_left")?,
        ready_at: column(row, "ready_at")?,
        seen_at: column(row, "seen_at")?,
        ending: ending.and_then(Ending::parse),
    })
}
