//! What was said.

use std::time::Duration;

use flow_domain::rooms::{History, Message, PAGE_BYTES, PAGE_MESSAGES, Person, RoomName, Text};
use flow_domain::{Error, Result, UserId};
use tokio_postgres::Row;

use super::{kind, room_name};
use crate::driven::postgres::error;
use crate::driven::postgres::pool::{PgPool, column, execute, query};

/// The room's row stays locked until the commit, so that numbers become visible in their order. The notification, if
/// it is wanted, goes out with the commit and says only where to look.
const POST: &str = "
    with next as (
        insert into room (name, head) values ($1::text, 1)
        on conflict (name) do update set head = room.head + 1
        returning head
    ), message as (
        insert into room_message (room, id, author_id, author_name, author_kind, body)
        select $1::text, next.head, $2::uuid, $3::text, $4::text, $5::text from next
        returning id, posted_at
    )
    select id, posted_at,
        case when $6::boolean then pg_notify('room_signal', 'posted ' || $1::text || ' ' || id) end
    from message";
const TELL: &str = "select pg_notify('room_signal', 'posted ' || $1::text || ' ' || $2::bigint)";
/// The sum over a window is of the page's candidates alone: they are limited before.
const AFTER: &str = "
    select room, id, author_id, author_name, author_kind, body, posted_at
    from (
        select message.*, sum(octet_length(body)) over (order by id) as bytes, row_number() over (order by id) as place
        from (
            select message.room, id, author_id, author_name, author_kind, body, posted_at
            from room_message as message
            join room on room.name = message.room
            where message.room = $1::text and id > $2::bigint and id > room.head - $3::bigint
                and posted_at > now() - $4::double precision * interval '1 second'
            order by id
            limit $5::bigint
        ) as message
    ) as page
    where bytes <= $6::bigint or place = 1
    order by id";
const STANDING: &str = "
    select coalesce((select head from room where name = $1::text), 0) as head,
        coalesce((select max(number) from room_leave), 0) as last_leave";
const HEADS: &str = "select name as room, head from room where name = any ($1::text[])";
const MESSAGE: &str = "
    select room, id, author_id, author_name, author_kind, body, posted_at
    from room_message where room = $1::text and id = $2::bigint";
const DELETE: &str = "delete from room_message where room = $1::text and id = $2::bigint";
const PRUNE: &str = "
    delete from room_message as message using room
    where room.name = message.room and (
        message.id <= room.head - $1::bigint
        or message.posted_at <= now() - $2::double precision * interval '1 second'
    )";
/// A row that is being written to, or whose room is read, is left for the next time.
const LOCK_EMPTY: &str = "
    select name from room
    where not exists (select from room_message as message where message.room = room.name)
        and not exists (select from room_reader as reader where reader.room = room.name)
    for update skip locked";
/// Looks again: a message may have come between the look and the lock, and after the lock none can.
const DELETE_EMPTY: &str = "
    delete from room
    where name = any ($1::text[])
        and not exists (select from room_message as message where message.room = room.name)";

pub(super) async fn post(
    pool: &PgPool,
    room: &RoomName,
    from: &Person,
    text: &Text,
    notify: bool,
) -> Result<Message> {
    let kind = from.kind.as_str();
    let row = pool
        .query_opt(POST, &[&room.as_str(), &from.id.0, &from.name, &kind, &text.as_str(), &notify])
        .await?
        .ok_or_else(|| Error::internal("posting a message answered no row"))?;
    Ok(Message {
        id: column(&row, "id")?,
        room: room.clone(),
        from: from.clone(),
        text: text.as_str().to_owned(),
        at: column(&row, "posted_at")?,
    })
}

pub(super) async fn tell(pool: &PgPool, room: &RoomName, id: i64) -> Result<()> {
    pool.query_opt(TELL, &[&room.as_str(), &id]).await.map(drop)
}

pub(super) async fn after(
    pool: &PgPool,
    room: &RoomName,
    after: i64,
    history: History,
) -> Result<Vec<Message>> {
    let (messages, bytes) = (PAGE_MESSAGES as i64, PAGE_BYTES as i64);
    let rows = pool
        .query(
            AFTER,
            &[&room.as_str(), &after, &i64::from(history.messages), &seconds(history.age), &messages, &bytes],
        )
        .await?;
    rows.iter().map(read).collect()
}

pub(super) async fn standing(pool: &PgPool, room: &RoomName) -> Result<(i64, i64)> {
    let row = pool.query_opt(STANDING, &[&room.as_str()]).await?;
    let row = row.ok_or_else(|| Error::internal("a room's standing answered no row"))?;
    Ok((column(&row, "head")?, column(&row, "last_leave")?))
}

pub(super) async fn heads(pool: &PgPool, rooms: &[RoomName]) -> Result<Vec<(RoomName, i64)>> {
    let names: Vec<&str> = rooms.iter().map(RoomName::as_str).collect();
    let rows = pool.query(HEADS, &[&names]).await?;
    rows.iter().map(|row| Ok((room_name(row)?, column(row, "head")?))).collect()
}

pub(super) async fn message(pool: &PgPool, room: &RoomName, id: i64) -> Result<Option<Message>> {
    let row = pool.query_opt(MESSAGE, &[&room.as_str(), &id]).await?;
    row.as_ref().map(read).transpose()
}

pub(super) async fn delete(pool: &PgPool, room: &RoomName, id: i64) -> Result<bool> {
    Ok(pool.execute(DELETE, &[&room.as_str(), &id]).await? == 1)
}

pub(super) async fn prune(pool: &PgPool, history: History) -> Result<u64> {
    let deleted = pool.execute(PRUNE, &[&i64::from(history.messages), &seconds(history.age)]).await?;
    let mut client = pool.client().await?;
    let transaction = client.transaction().await.map_err(error::from)?;
    let empty = query(&transaction, LOCK_EMPTY, &[]).await?;
    let empty: Vec<String> = empty.iter().map(|row| column(row, "name")).collect::<Result<_>>()?;
    execute(&transaction, DELETE_EMPTY, &[&empty]).await?;
    transaction.commit().await.map_err(error::from)?;
    Ok(deleted)
}

fn seconds(age: Duration) -> f64 {
    age.as_secs_f64()
}

fn read(row: &Row) -> Result<Message> {
    let from = Person {
        id: UserId(column(row, "author_id")?),
        name: column(row, "author_name")?,
        kind: kind(row, "author_kind")?,
    };
    Ok(Message {
        id: column(row, "id")?,
        room: room_name(row)?,
        from,
        text: column(row, "body")?,
        at: column(row, "posted_at")?,
    })
}
