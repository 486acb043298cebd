//! Who reads, by which process, and who went.

use flow_domain::rooms::{Leave, Person, RoomName};
use flow_domain::{Error, Result, UserId};
use uuid::Uuid;

use super::{kind, room_name};
use crate::driven::postgres::error;
use crate::driven::postgres::pool::{PgPool, column, execute, query_opt};

const LEAVE: &str = "
    with added as (
        insert into room_leave (room, user_id) values ($1::text, $2::uuid) returning number
    )
    select number, pg_notify('room_signal', 'left ' || number || ' ' || $1::text || ' ' || $2::uuid) from added";
const LEAVES: &str = "
    select number, room, user_id from room_leave where number > $1::bigint order by number";
const LAST_LEAVE: &str = "select number, room, user_id from room_leave order by number desc limit 1";
/// `xmax` is zero in a row that was inserted, and not in one that was updated.
const ALIVE: &str = "
    insert into room_process (id) values ($1::uuid)
    on conflict (id) do update set seen_at = now()
    returning xmax = 0 as new";
const CAME: &str = "
    insert into room_reader (process_id, room, user_id, name, kind)
    select $1::uuid, room, user_id, name, kind
    from unnest($2::text[], $3::uuid[], $4::text[], $5::text[]) as came (room, user_id, name, kind)
    on conflict (room, process_id, user_id) do update set name = excluded.name, kind = excluded.kind";
const WENT: &str = "
    delete from room_reader as reader
    using unnest($2::text[], $3::uuid[]) as went (room, user_id)
    where reader.process_id = $1::uuid and reader.room = went.room and reader.user_id = went.user_id";
const RETIRE: &str = "delete from room_process where id = $1::uuid";
/// Three reports that did not come.
const PRESENT: &str = "
    select distinct user_id, name, kind
    from room_reader as reader
    join room_process as process on process.id = reader.process_id
    where reader.room = $1::text and process.id <> $2::uuid and process.seen_at > now() - interval '15 seconds'";
const PRUNE_PROCESSES: &str = "delete from room_process where seen_at < now() - interval '1 minute'";
/// Looked for every two seconds.
const PRUNE_LEAVES: &str = "delete from room_leave where left_at < now() - interval '1 hour'";

pub(super) async fn leave(pool: &PgPool, room: &RoomName, user: UserId) -> Result<Leave> {
    let row = pool.query_opt(LEAVE, &[&room.as_str(), &user.0]).await?;
    let row = row.ok_or_else(|| Error::internal("leaving a room answered no row"))?;
    Ok(Leave { number: column(&row, "number")?, room: room.clone(), user })
}

pub(super) async fn leaves(pool: &PgPool, after: Option<i64>) -> Result<Vec<Leave>> {
    let rows = match after {
        Some(after) => pool.query(LEAVES, &[&after]).await?,
        None => pool.query(LAST_LEAVE, &[]).await?,
    };
    let leave = |row| -> Result<Leave> {
        Ok(Leave {
            number: column(row, "number")?,
            room: room_name(row)?,
            user: UserId(column(row, "user_id")?),
        })
    };
    rows.iter().map(leave).collect()
}

pub(super) async fn report(
    pool: &PgPool,
    process: Uuid,
    came: &[(RoomName, Person)],
    went: &[(RoomName, UserId)],
) -> Result<bool> {
    let mut client = pool.client().await?;
    let transaction = client.transaction().await.map_err(error::from)?;
    let row = query_opt(&transaction, ALIVE, &[&process]).await?;
    let row = row.ok_or_else(|| Error::internal("a report answered no row"))?;
    if !went.is_empty() {
        let rooms: Vec<&str> = went.iter().map(|(room, _)| room.as_str()).collect();
        let users: Vec<Uuid> = went.iter().map(|(_, user)| user.0).collect();
        execute(&transaction, WENT, &[&process, &rooms, &users]).await?;
    }
    if !came.is_empty() {
        let rooms: Vec<&str> = came.iter().map(|(room, _)| room.as_str()).collect();
        let users: Vec<Uuid> = came.iter().map(|(_, person)| person.id.0).collect();
        let names: Vec<&str> = came.iter().map(|(_, person)| person.name.as_str()).collect();
        let kinds: Vec<&str> = came.iter().map(|(_, person)| person.kind.as_str()).collect();
        execute(&transaction, CAME, &[&process, &rooms, &users, &names, &kinds]).await?;
    }
    let new = column(&row, "new")?;
    transaction.commit().await.map_err(error::from)?;
    Ok(new)
}

pub(super) async fn retire(pool: &PgPool, process: Uuid) -> Result<()> {
    pool.execute(RETIRE, &[&process]).await.map(drop)
}

pub(super) async fn present(pool: &PgPool, room: &RoomName, besides: Uuid) -> Result<Vec<Person>> {
    let rows = pool.query(PRESENT, &[&room.as_str(), &besides]).await?;
    let person = |row| -> Result<Person> {
        Ok(Person {
            id: UserId(column(row, "user_id")?),
            name: column(row, "name")?,
            kind: kind(row, "kind")?,
        })
    };
    rows.iter().map(person).collect()
}

pub(super) async fn prune(pool: &PgPool) -> Result<()> {
    pool.execute(PRUNE_PROCESSES, &[]).await?;
    pool.execute(PRUNE_LEAVES, &[]).await.map(drop)
}
