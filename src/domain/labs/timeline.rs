//! One list of all that happens in a session, in order, with numbers that stay: its runs' events, its room's
//! messages, and what is noted beside them.
//!
//! Nothing is written twice where it happens. Whoever looks first has what is new taken into the list; an entry's
//! number is its place there, so that a reader who comes back with the last one misses nothing and hears nothing again.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::machines::is_of_task;
use super::{LabSessions, Session};
use crate::flows::{Event, EventKind, Flows};
use crate::{Error, Kind, Result, RunId, SessionId};

/// Between two looks for something new while a reader waits.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Taken of one source at once.
const AT_ONCE: usize = 500;
/// A reset's run is about two sessions.
const RESET: &str = "lab-reset";

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// In the session, from 1, without gaps.
    #[serde(rename = "id")]
    pub number: i64,
    #[serde(rename = "type")]
    pub kind: String,
    pub at: Timestamp,
    pub run: Option<RunId>,
    pub step: Option<String>,
    pub data: Value,
}

/// Something that is told nowhere else.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    pub kind: String,
    pub at: Timestamp,
    pub data: Value,
}

/// What the list does not have yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fresh {
    /// Of the list; a writer names it.
    pub version: i64,
    /// With the number of the last one.
    pub notes: (Vec<Note>, i64),
    pub messages: (Vec<Note>, i64),
    /// Runs that are not over, and the last event taken of each.
    pub runs: Vec<(RunId, i64)>,
}

/// What was taken, to be kept with what it became.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    pub version: i64,
    pub notes: i64,
    pub messages: i64,
    /// Each with its last event, and whether it is over.
    pub runs: Vec<(RunId, i64, bool)>,
    /// In order; they are numbered when they are kept.
    pub entries: Vec<Entry>,
}

/// Where timelines are kept.
#[async_trait]
pub trait TimelineStore: Send + Sync {
    /// Notes something now. With a key that was used before in this session, nothing.
    async fn note(&self, session: SessionId, kind: &str, key: Option<&str>, data: Value) -> Result<()>;
    async fn fresh(&self, session: SessionId, limit: usize) -> Result<Fresh>;
    /// All of it or nothing; `false` when the list has another version by now.
    async fn take(&self, session: SessionId, taken: &Taken) -> Result<bool>;
    /// After this number, in order, at most so many.
    async fn entries(&self, session: SessionId, after: i64, limit: usize) -> Result<Vec<Entry>>;
}

pub struct Timelines {
    store: Arc<dyn TimelineStore>,
    sessions: Arc<dyn LabSessions>,
    flows: Arc<Flows>,
}

impl Timelines {
    pub fn new(store: Arc<dyn TimelineStore>, sessions: Arc<dyn LabSessions>, flows: Arc<Flows>) -> Self {
        Self { store, sessions, flows }
    }

    pub fn store(&self) -> &dyn TimelineStore {
        &*self.store
    }

    /// What happened after this number, and whether nothing more will. Waits up to `at_most` for the first of it.
    pub async fn entries(
        &self,
        id: SessionId,
        after: i64,
        limit: usize,
        at_most: Duration,
    ) -> Result<(Vec<Entry>, bool)> {
        let deadline = Instant::now() + at_most;
        loop {
            // Looked at first: one that has ended says nothing new after what is taken then.
            let unknown = || Error::not_found("session.unknown", "There is no such session.");
            let session = self.sessions.session(id).await?.ok_or_else(unknown)?;
            let over = self.catch_up(&session).await? && session.ended_at.is_some();
            let entries = self.store.entries(session.id, after, limit).await?;
            let last = entries.len() < limit;
            if !entries.is_empty() || over || Instant::now() >= deadline {
                return Ok((entries, over && last));
            }
            tokio::time::sleep_until(deadline.min(Instant::now() + LOOK_EVERY)).await;
        }
    }

    /// Takes what is new; whether all its runs are over.
    async fn catch_up(&self, session: &Session) -> Result<bool> {
        loop {
            let fresh = self.store.fresh(session.id, AT_ONCE).await?;
            let (taken, open, more) = self.taken(session, fresh).await?;
            let changed = !taken.entries.is_empty() || taken.runs.iter().any(|(_, _, over)| *over);
            if changed && !self.store.take(session.id, &taken).await? {
                continue;
            }
            if !more {
                return Ok(!open);
            }
        }
    }

    /// What is new, in order; whether a run is still going on; and whether there may be more at once.
    async fn taken(&self, session: &Session, fresh: Fresh) -> Result<(Taken, bool, bool)> {
        let (mut open, mut more) = (false, false);
        let mut taken = Taken {
            version: fresh.version,
            notes: fresh.notes.1,
            messages: fresh.messages.1,
            ..Taken::default()
        };
        for notes in [fresh.notes.0, fresh.messages.0] {
            more |= notes.len() == AT_ONCE;
            let entry = |Note { kind, at, data }| Entry { number: 0, kind, at, run: None, step: None, data };
            taken.entries.extend(notes.into_iter().map(entry));
        }
        for (run, after) in fresh.runs {
            let (entries, last, over) = self.of_run(session, run, after).await?;
            more |= last > after && !over;
            open |= !over;
            if last > after || over {
                taken.runs.push((run, last, over));
            }
            taken.entries.extend(entries);
        }
        // Stable: what one source tells stays in its order.
        taken.entries.sort_by_key(|entry| entry.at);
        Ok((taken, open, more))
    }

    async fn of_run(&self, session: &Session, run: RunId, after: i64) -> Result<(Vec<Entry>, i64, bool)> {
        // Dropped by age, or never stored because its start failed.
        let Some(known) = self.flows.known_run(run).await? else { return Ok((vec![], after, true)) };
        let (events, over) = match self.flows.events(run, after, AT_ONCE, Duration::ZERO).await {
            Err(error) if error.kind == Kind::NotFound => return Ok((vec![], after, true)),
            other => other?,
        };
        let last = events.last().map_or(after, |event| event.number);
        let reset = known.definition.name == RESET;
        let ours = |at: Timestamp| {
            !reset || (at >= session.created_at && session.ended_at.is_none_or(|ended| at <= ended))
        };
        let told = events.into_iter().filter(|event| ours(event.at)).filter_map(without_tasks);
        let entries = told.map(|event| {
            let kind = event.kind.as_str();
            let data = match (kind.starts_with("run."), event.data) {
                (true, Value::Object(mut data)) => {
                    data.insert("flow".to_owned(), json!(known.definition.name));
                    Value::Object(data)
                }
                (true, _) => json!({"flow": known.definition.name}),
                (false, data) => data,
            };
            let (kind, at, step) = (kind.to_owned(), event.at, event.step);
            Entry { number: 0, kind, at, run: Some(run), step, data }
        });
        Ok((entries.collect(), last, over))
    }
}

/// A run's output without lines about tasks of machines, which are entries of their own.
fn without_tasks(mut event: Event) -> Option<Event> {
    if event.kind == EventKind::Output
        && let Some(lines) = event.data.get_mut("lines").and_then(Value::as_array_mut)
    {
        lines.retain(|line| !line.as_str().is_some_and(is_of_task));
        if lines.is_empty() {
            return None;
        }
    }
    Some(event)
}
