//! Timelines of sessions. It knows neither rooms nor runs: all there is are notes.

use std::collections::HashMap;
use std::sync::Mutex;

use async_trait::async_trait;
use flow_domain::labs::{Entry, Fresh, Note, Taken, TimelineStore};
use flow_domain::{Result, SessionId};
use jiff::Timestamp;
use serde_json::Value;

use super::lock;

#[derive(Default)]
struct Timeline {
    notes: Vec<(Option<String>, Note)>,
    taken: i64,
    version: i64,
    entries: Vec<Entry>,
}

#[derive(Default)]
pub struct MemoryTimelines {
    kept: Mutex<HashMap<SessionId, Timeline>>,
}

#[async_trait]
impl TimelineStore for MemoryTimelines {
    async fn note(&self, session: SessionId, kind: &str, key: Option<&str>, data: Value) -> Result<()> {
        let mut kept = lock(&self.kept);
        let timeline = kept.entry(session).or_default();
        let known = |(known, _): &(Option<String>, Note)| known.is_some() && known.as_deref() == key;
        if !timeline.notes.iter().any(known) {
            let note = Note { kind: kind.to_owned(), at: Timestamp::now(), data };
            timeline.notes.push((key.map(str::to_owned), note));
        }
        Ok(())
    }

    async fn fresh(&self, session: SessionId, limit: usize) -> Result<Fresh> {
        let mut kept = lock(&self.kept);
        let timeline = kept.entry(session).or_default();
        let taken = usize::try_from(timeline.taken).unwrap_or_default();
        let notes: Vec<Note> =
            timeline.notes.iter().skip(taken).take(limit).map(|(_, note)| note.clone()).collect();
        let last = timeline.taken + i64::try_from(notes.len()).unwrap_or_default();
        Ok(Fresh { version: timeline.version, notes: (notes, last), ..Fresh::default() })
    }

    async fn take(&self, session: SessionId, taken: &Taken) -> Result<bool> {
        let mut kept = lock(&self.kept);
        let timeline = kept.entry(session).or_default();
        if timeline.version != taken.version {
            return Ok(false);
        }
        timeline.version += 1;
        timeline.taken = taken.notes;
        for entry in &taken.entries {
            let number = i64::try_from(timeline.entries.len()).unwrap_or_default() + 1;
            timeline.entries.push(Entry { number, ..entry.clone() });
        }
        Ok(true)
    }

    async fn entries(&self, session: SessionId, after: i64, limit: usize) -> Result<Vec<Entry>> {
        let mut kept = lock(&self.kept);
        let entries = kept.entry(session).or_default().entries.iter();
        Ok(entries.filter(|entry| entry.number > after).take(limit).cloned().collect())
    }
}
