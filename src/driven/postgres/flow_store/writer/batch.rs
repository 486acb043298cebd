//! One batch on one connection.

use std::collections::HashMap;

use flow_domain::flows::store::Ack;
use flow_domain::{Cancel, Error, RunId};
use futures_util::future::try_join_all;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, Statement};
use uuid::Uuid;

use super::Write;
use super::columns::Arrays;
use super::socket::Socket;
use super::statement::Shape;
use crate::driven::postgres::error;
use crate::driven::postgres::flow_store::rows;
use crate::driven::postgres::tls::Tls;

pub(super) struct Connection {
    socket: Socket,
    session: Session,
}

/// What is asked of the server.
struct Session {
    client: Client,
    /// In the order of [`Shape::ALL`].
    statements: Vec<Statement>,
}

/// Why a batch was not written.
pub(super) enum Failed {
    /// A deadlock or a serialisation fault: the same again.
    Again,
    /// The server's disk is full, or it has no room otherwise: nothing was written.
    NoRoom(Error),
    /// Nobody knows whether it was written.
    ConnectionLost,
    /// The server would not have something in it.
    Data(Error),
}

/// Runs whose write was stored, and the cancel that each was asked for.
pub(super) type Stored = HashMap<RunId, Option<Cancel>>;

/// With a few rows in its tables the planner would join a batch to them by scanning, and keep that plan when they have
/// grown. Whatever the connection runs is a look-up by key.
const SETTINGS: &str = "set enable_seqscan = off; set enable_mergejoin = off; \
                        set plan_cache_mode = force_generic_plan; set jit = off; set synchronous_commit = on";

impl Connection {
    pub(super) async fn open(config: &Config) -> Result<Self, Error> {
        let (client, half) = config.connect(Tls).await.map_err(error::from)?;
        let mut socket = Socket::new(half);
        let session = socket.until(Session::begin(client)).await?;
        Ok(Self { socket, session })
    }

    /// Waits for the connection's end.
    pub(super) async fn ended(&mut self) {
        self.socket.ended().await;
    }

    /// Writes the whole group in one commit.
    pub(super) async fn write(&mut self, group: &[Write]) -> Result<Stored, Failed> {
        self.socket.until(self.session.write(group)).await
    }

    /// After a lost answer: which of these were stored after all? Those are answered; the rest is returned. An error
    /// gives the whole group back.
    pub(super) async fn settle_lost(&mut self, group: Vec<Write>) -> Result<Vec<Write>, Vec<Write>> {
        self.socket.until(self.session.settle_lost(group)).await
    }
}

impl Session {
    async fn begin(client: Client) -> Result<Self, Error> {
        client.batch_execute(SETTINGS).await.map_err(error::from)?;
        let prepared = Shape::ALL.map(|shape| client.prepare(shape.sql()));
        let statements = try_join_all(prepared).await.map_err(error::from)?;
        Ok(Self { client, statements })
    }

    async fn write(&self, group: &[Write]) -> Result<Stored, Failed> {
        let arrays = Arrays::of(group);
        let keys = arrays.handed_on();
        if keys.is_empty() && arrays.leaving().is_empty() {
            return self.execute(&arrays).await;
        }
        // The end of a run and the hand-over of its key and its places are one commit.
        self.client.batch_execute("begin").await.map_err(failed)?;
        let written = async {
            let stored = self.execute(&arrays).await?;
            for (key, run) in keys.iter().filter(|(_, run)| stored.contains_key(run)) {
                self.client
                    .execute("select flow_hand_over($1::text, $2::uuid)", &[key, &run.0])
                    .await
                    .map_err(failed)?;
            }
            let leaving = arrays.leaving().iter().filter(|run| stored.contains_key(run));
            let leaving: Vec<Uuid> = leaving.map(|run| run.0).collect();
            if !leaving.is_empty() {
                self.client.execute("select flow_leave($1::uuid[])", &[&leaving]).await.map_err(failed)?;
            }
            Ok(stored)
        };
        match written.await {
            Ok(stored) => {
                self.client.batch_execute("commit").await.map_err(failed)?;
                Ok(stored)
            }
            Err(why) => {
                self.client.batch_execute("rollback").await.map_err(failed)?;
                Err(why)
            }
        }
    }

    async fn execute(&self, arrays: &Arrays) -> Result<Stored, Failed> {
        let shape = arrays.shape();
        let statement = &self.statements[shape as usize];
        let rows = self.client.query(statement, &arrays.parameters(shape)).await.map_err(failed)?;
        rows.iter().map(|row| Ok((RunId(row.get("id")), rows::cancel(row).map_err(Failed::Data)?))).collect()
    }

    async fn settle_lost(&self, group: Vec<Write>) -> Result<Vec<Write>, Vec<Write>> {
        let ids: Vec<Uuid> = group.iter().map(|write| write.run().0).collect();
        let sql = "select id, epoch, version, cancel_requested, cancel_forced from flow_run where id = any($1::uuid[])";
        let Ok(rows) = self.client.query(sql, &[&ids]).await else { return Err(group) };
        let found: HashMap<Uuid, (i64, i64, Option<Cancel>)> = rows
            .iter()
            .map(|row| {
                (row.get("id"), (row.get("epoch"), row.get("version"), rows::cancel(row).unwrap_or_default()))
            })
            .collect();
        let mut left = Vec::new();
        for write in group {
            let stored = match (found.get(&write.run().0), &write) {
                (Some(_), Write::Create { .. }) => Some(None),
                // Moved on by one under my epoch: it was mine that moved it.
                (Some((epoch, version, cancel)), Write::Checkpoint { checkpoint, .. }) => {
                    (*epoch == checkpoint.epoch && *version == checkpoint.version + 1).then_some(*cancel)
                }
                (None, _) => None,
            };
            match stored {
                Some(cancel) => {
                    let stored = Stored::from([(write.run(), cancel)]);
                    write.answer(&stored);
                }
                None => left.push(write),
            }
        }
        Ok(left)
    }
}

fn failed(cause: tokio_postgres::Error) -> Failed {
    let again =
        [SqlState::T_R_DEADLOCK_DETECTED, SqlState::T_R_SERIALIZATION_FAILURE, SqlState::LOCK_NOT_AVAILABLE];
    match cause.code() {
        Some(code) if again.contains(code) => Failed::Again,
        Some(code) if code.code().starts_with("53") => Failed::NoRoom(error::from(cause)),
        // 57P01 to 57P03: the server goes down or comes up; it is asked again.
        Some(code) if code.code().starts_with("57P") => Failed::ConnectionLost,
        Some(code) if code == &SqlState::QUERY_CANCELED => Failed::ConnectionLost,
        Some(_) => Failed::Data(error::from(cause)),
        None if cause.is_closed() || std::error::Error::source(&cause).is_some() => Failed::ConnectionLost,
        None => Failed::Data(error::from(cause)),
    }
}

impl Write {
    pub(super) fn run(&self) -> RunId {
        match self {
            Write::Create { run, .. } => run.id,
            Write::Checkpoint { checkpoint, .. } => checkpoint.run,
        }
    }

    /// Whoever waits may have gone: then there is nobody to tell.
    pub(super) fn answer(self, stored: &Stored) {
        match self {
            Write::Create { done, .. } => drop(done.send(Ok(()))),
            Write::Checkpoint { checkpoint, done } => {
                let ack = match stored.get(&checkpoint.run) {
                    Some(cancel) => Ack::Stored { cancel: *cancel },
                    None => Ack::Fenced,
                };
                drop(done.send(Ok(ack)));
            }
        }
    }

    pub(super) fn refuse(self, error: &Error) {
        match self {
            Write::Create { done, .. } => drop(done.send(Err(error.clone()))),
            Write::Checkpoint { done, .. } => drop(done.send(Err(error.clone()))),
        }
    }
}
