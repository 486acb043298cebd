//! Reserved machines, and those that are nobody's.

use async_trait::async_trait;
use flow_domain::labs::SessionStatus;
use flow_domain::labs::machines::{Found, Ledger, Orphan, OrphanKind, Reservation, Reserved};
use flow_domain::{Error, Result, SessionId};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::error;
use super::pool::{PgPool, column, execute, query};

/// One reserves at a time; any number nobody else uses.
const LOCK: &str = "select pg_advisory_xact_lock(7236837201)";
const OF_SESSION: &str = "
    select vmid, pool, tag from machine_reservation
    where session_id = $1::uuid and freed_at is null order by vmid";
/// It cannot end before what is reserved for it is known.
const OPEN: &str = "select id from session where id = $1::uuid and ended_at is null for share";
/// The ids that were free the longest come first, so that what a late task makes is not taken for another's.
const RESERVE: &str = "
    insert into machine_reservation (vmid, session_id, pool, tag)
    select candidate, $1::uuid, $2::text, $3::text
    from generate_series($4::integer, $5::integer) as candidate
    where not exists (select from machine_reservation where vmid = candidate and freed_at is null)
        and not exists (select from machine_orphan where vmid = candidate and gone_at is null)
    order by (select max(freed_at) from machine_reservation where vmid = candidate) nulls first, candidate
    limit $6::bigint
    returning vmid";
const RESERVED: &str = "
    select session_id, status, pool, tag, array_agg(vmid order by vmid) as vmids
    from machine_reservation join session on session.id = session_id
    where freed_at is null group by session_id, status, pool, tag";
const SEEN: &str = "
    insert into machine_orphan (id, kind, vmid, name, node, session_id)
    values ($1::uuid, $2::text, $3::integer, $4::text, $5::text, $6::uuid)
    on conflict (kind, vmid) where gone_at is null do update set
        seen_at = now(), name = excluded.name, node = excluded.node, session_id = excluded.session_id";
const GONE: &str = "
    update machine_orphan set gone_at = now()
    where gone_at is null and not exists (
        select from unnest($1::text[], $2::integer[]) as found (kind, vmid)
        where found.kind = machine_orphan.kind and found.vmid = machine_orphan.vmid)";
const ORPHANS: &str = "
    select id, kind, vmid, name, node, session_id, found_at, seen_at
    from machine_orphan where gone_at is null order by found_at, vmid";
const FORGET: &str = "update machine_orphan set gone_at = now() where id = $1::uuid and gone_at is null";

pub struct PgLedger {
    pool: PgPool,
    /// The pool that machines of labs are in, and the range of their ids.
    machines: (String, u32, u32),
}

impl PgLedger {
    pub fn new(pool: PgPool, machines: (String, u32, u32)) -> Self {
        Self { pool, machines }
    }
}

fn ids(rows: &[Row]) -> Result<Vec<u32>> {
    rows.iter().map(vmid).collect()
}

fn vmid(row: &Row) -> Result<u32> {
    u32::try_from(column::<i32>(row, "vmid")?).map_err(Error::internal)
}

#[async_trait]
impl Ledger for PgLedger {
    async fn reserve(&self, session: SessionId, count: u32) -> Result<Reservation> {
        let mut client = self.pool.client().await?;
        let transaction = client.transaction().await.map_err(error::from)?;
        query(&transaction, LOCK, &[]).await?;
        if query(&transaction, OPEN, &[&session.0]).await?.is_empty() {
            return Err(Error::conflict("session.ended", "This session is over."));
        }
        let (pool, first, last) = &self.machines;
        let tag = format!("fm-{session}");
        let (low, high) = (i32::try_from(*first), i32::try_from(*last));
        let (low, high) = (low.map_err(Error::internal)?, high.map_err(Error::internal)?);
        let mut vmids = ids(&query(&transaction, OF_SESSION, &[&session.0]).await?)?;
        let missing = i64::from(count) - vmids.len() as i64;
        if missing > 0 {
            let values: [&(dyn ToSql + Sync); 6] = [&session.0, pool, &tag, &low, &high, &missing];
            vmids.extend(ids(&query(&transaction, RESERVE, &values).await?)?);
        }
        if (vmids.len() as u64) < u64::from(count) {
            let public = "There is no room for more machines at the moment; try again later.";
            return Err(Error::conflict("machines.none_free", public));
        }
        transaction.commit().await.map_err(error::from)?;
        vmids.sort_unstable();
        vmids.truncate(count as usize);
        Ok(Reservation { session, vmids, pool: pool.clone(), tag })
    }

    async fn reservation(&self, session: SessionId) -> Result<Option<Reservation>> {
        let rows = self.pool.query(OF_SESSION, &[&session.0]).await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let (pool, tag) = (column(first, "pool")?, column(first, "tag")?);
        Ok(Some(Reservation { session, vmids: ids(&rows)?, pool, tag }))
    }

    async fn reserved(&self) -> Result<Vec<Reserved>> {
        let rows = self.pool.query(RESERVED, &[]).await?;
        let reserved = |row: &Row| {
            let status: &str = column(row, "status")?;
            let unknown = || Error::internal(format!("stored session status {status} is unknown"));
            let vmids: Vec<i32> = column(row, "vmids")?;
            let reservation = Reservation {
                session: SessionId(column(row, "session_id")?),
                vmids: vmids.into_iter().filter_map(|vmid| u32::try_from(vmid).ok()).collect(),
                pool: column(row, "pool")?,
                tag: column(row, "tag")?,
            };
            Ok(Reserved { reservation, status: SessionStatus::parse(status).ok_or_else(unknown)? })
        };
        rows.iter().map(reserved).collect()
    }

    async fn settle(&self, found: &[Found]) -> Result<()> {
        let mut client = self.pool.client().await?;
        let transaction = client.transaction().await.map_err(error::from)?;
        query(&transaction, LOCK, &[]).await?;
        let mut known: (Vec<&str>, Vec<i32>) = (vec![], vec![]);
        for it in found {
            let vmid = i32::try_from(it.vmid).map_err(Error::internal)?;
            let (kind, session) = (it.kind.as_str(), it.session.map(|session| session.0));
            let id = Uuid::now_v7();
            execute(&transaction, SEEN, &[&id, &kind, &vmid, &it.name, &it.node, &session]).await?;
            known.0.push(kind);
            known.1.push(vmid);
        }
        execute(&transaction, GONE, &[&known.0, &known.1]).await?;
        transaction.commit().await.map_err(error::from)
    }

    async fn orphans(&self) -> Result<Vec<Orphan>> {
        let rows = self.pool.query(ORPHANS, &[]).await?;
        let orphan = |row: &Row| {
            let kind: &str = column(row, "kind")?;
            let unknown = || Error::internal(format!("stored kind of orphan {kind} is unknown"));
            Ok(Orphan {
                id: column(row, "id")?,
                kind: OrphanKind::parse(kind).ok_or_else(unknown)?,
                vmid: vmid(row)?,
                name: column(row, "name")?,
                node: column(row, "node")?,
                session: column::<Option<Uuid>>(row, "session_id")?.map(SessionId),
                found_at: column(row, "found_at")?,
                seen_at: column(row, "seen_at")?,
            })
        };
        rows.iter().map(orphan).collect()
    }

    async fn forget(&self, id: Uuid) -> Result<()> {
        self.pool.execute(FORGET, &[&id]).await.map(drop)
    }
}
