//! Timelines of sessions.

use async_trait::async_trait;
use flow_domain::labs::machines::{TaskNews, TaskNotes};
use flow_domain::labs::{Entry, Fresh, Note, Taken, TimelineStore};
use flow_domain::{Error, Result, RunId, SessionId};
use jiff::Timestamp;
use serde_json::Value;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::error;
use super::pool::{PgPool, column, execute, query, query_opt};

const NOTE: &str = "select note_session($1::uuid, $2::text, $3::text, $4::jsonb)";
const NOTED: &str = "
    select exists (select from session_note where session_id = $1::uuid and key = $2::text) as noted";
/// A session of before there were timelines has none; it gets one when it is looked at.
const BEGIN: &str = "
    insert into session_timeline (session_id) select id from session where id = $1::uuid on conflict do nothing";
const STANDING: &str = "
    select notes_taken, messages_taken, version from session_timeline where session_id = $1::uuid";
const NOTES: &str = "
    select number, kind, at, data from session_note
    where session_id = $1::uuid and number > $2::bigint order by number limit $3::bigint";
/// What the service says there is noted beside it.
const MESSAGES: &str = "
    select id as number, 'room.message' as kind, posted_at as at,
        jsonb_build_object('id', id, 'from', author_name, 'text', body) as data, author_kind
    from room_message
    where room = 'session.' || $1::text and id > $2::bigint order by id limit $3::bigint";
const RUNS: &str = "
    select run_id, events_taken from session_run where session_id = $1::uuid and not over order by run_id";
const TAKE: &str = "
    update session_timeline
    set head = head + $3::bigint, notes_taken = $4::bigint, messages_taken = $5::bigint, version = version + 1
    where session_id = $1::uuid and version = $2::bigint
    returning head - $3::bigint as before";
const TAKE_RUNS: &str = "
    update session_run set events_taken = taken.last, over = taken.over
    from unnest($2::uuid[], $3::bigint[], $4::boolean[]) as taken (run, last, over)
    where session_id = $1::uuid and run_id = taken.run";
const APPEND: &str = "
    insert into session_entry (session_id, number, kind, at, run_id, step, data)
    select $1::uuid, $2::bigint + place, kind, at, run, step, data
    from unnest($3::text[], $4::timestamptz[], $5::uuid[], $6::text[], $7::jsonb[])
        with ordinality as entry (kind, at, run, step, data, place)";
const ENTRIES: &str = "
    select number, kind, at, run_id, step, data from session_entry
    where session_id = $1::uuid and number > $2::bigint order by number limit $3::bigint";

#[derive(Clone)]
pub struct PgTimelines {
    pool: PgPool,
}

impl PgTimelines {
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

#[async_trait]
impl TimelineStore for PgTimelines {
    async fn note(&self, session: SessionId, kind: &str, key: Option<&str>, data: Value) -> Result<()> {
        self.pool.execute(NOTE, &[&session.0, &kind, &key, &data]).await.map(drop)
    }

    async fn fresh(&self, session: SessionId, limit: usize) -> Result<Fresh> {
        let client = self.pool.client().await?;
        execute(&client, BEGIN, &[&session.0]).await?;
        let Some(row) = query_opt(&client, STANDING, &[&session.0]).await? else {
            return Ok(Fresh::default());
        };
        let limit = i64::try_from(limit).map_err(Error::internal)?;
        let mut fresh = Fresh { version: column(&row, "version")?, ..Fresh::default() };
        let (notes, messages): (i64, i64) = (column(&row, "notes_taken")?, column(&row, "messages_taken")?);
        let room = session.to_string();
        fresh.notes = new(&query(&client, NOTES, &[&session.0, &notes, &limit]).await?, notes)?;
        let said = query(&client, MESSAGES, &[&room, &messages, &limit]).await?;
        let (_, last) = new(&said, messages)?;
        let people: Vec<_> = said.into_iter().filter(|row| !is_ours(row)).collect();
        fresh.messages = (new(&people, messages)?.0, last);
        let runs = query(&client, RUNS, &[&session.0]).await?;
        let run = |row: &Row| Ok((RunId(column(row, "run_id")?), column(row, "events_taken")?));
        fresh.runs = runs.iter().map(run).collect::<Result<_>>()?;
        Ok(fresh)
    }

    async fn take(&self, session: SessionId, taken: &Taken) -> Result<bool> {
        let mut client = self.pool.client().await?;
        let transaction = client.transaction().await.map_err(error::from)?;
        let count = i64::try_from(taken.entries.len()).map_err(Error::internal)?;
        let moved: [&(dyn ToSql + Sync); 5] =
            [&session.0, &taken.version, &count, &taken.notes, &taken.messages];
        let Some(row) = query_opt(&transaction, TAKE, &moved).await? else { return Ok(false) };
        let before: i64 = column(&row, "before")?;
        let runs: Vec<Uuid> = taken.runs.iter().map(|(run, _, _)| run.0).collect();
        let lasts: Vec<i64> = taken.runs.iter().map(|(_, last, _)| *last).collect();
        let over: Vec<bool> = taken.runs.iter().map(|(_, _, over)| *over).collect();
        execute(&transaction, TAKE_RUNS, &[&session.0, &runs, &lasts, &over]).await?;
        let entries = &taken.entries;
        let kinds: Vec<&str> = entries.iter().map(|entry| entry.kind.as_str()).collect();
        let times: Vec<Timestamp> = entries.iter().map(|entry| entry.at).collect();
        let runs: Vec<Option<Uuid>> = entries.iter().map(|entry| entry.run.map(|run| run.0)).collect();
        let steps: Vec<Option<&str>> = entries.iter().map(|entry| entry.step.as_deref()).collect();
        let data: Vec<&Value> = entries.iter().map(|entry| &entry.data).collect();
        let values: [&(dyn ToSql + Sync); 7] = [&session.0, &before, &kinds, &times, &runs, &steps, &data];
        execute(&transaction, APPEND, &values).await?;
        transaction.commit().await.map_err(error::from)?;
        Ok(true)
    }

    async fn entries(&self, session: SessionId, after: i64, limit: usize) -> Result<Vec<Entry>> {
        let limit = i64::try_from(limit).map_err(Error::internal)?;
        let rows = self.pool.query(ENTRIES, &[&session.0, &after, &limit]).await?;
        rows.iter().map(entry).collect()
    }
}

#[async_trait]
impl TaskNotes for PgTimelines {
    /// One service drives a session's run at a time; were there two, the key still lets one in.
    async fn tell(&self, session: SessionId, news: &TaskNews) -> Result<bool> {
        let noted = self.pool.query(NOTED, &[&session.0, &news.key]).await?;
        if noted.first().map_or(Ok(false), |row| column(row, "noted"))? {
            return Ok(false);
        }
        self.note(session, "machine.task", Some(news.key.as_str()), news.data.clone()).await?;
        Ok(true)
    }
}

/// The rows as notes, and the number of the last one.
fn new(rows: &[Row], before: i64) -> Result<(Vec<Note>, i64)> {
    let last = rows.last().map_or(Ok(before), |row| column(row, "number"))?;
    let note = |row: &Row| {
        Ok(Note { kind: column(row, "kind")?, at: column(row, "at")?, data: column(row, "data")? })
    };
    Ok((rows.iter().map(note).collect::<Result<_>>()?, last))
}

/// Said by the service itself.
fn is_ours(row: &Row) -> bool {
    column::<&str>(row, "author_kind").is_ok_and(|kind| kind == "system")
}

fn entry(row: &Row) -> Result<Entry> {
    Ok(Entry {
        number: column(row, "number")?,
        kind: column(row, "kind")?,
        at: column(row, "at")?,
        run: column::<Option<Uuid>>(row, "run_id")?.map(RunId),
        step: column(row, "step")?,
        data: column(row, "data")?,
    })
}
