//! Schedules in memory.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use flow_domain::Result;
use flow_domain::flows::schedule::{Due, Schedules};
use jiff::Timestamp;

use super::lock;

#[derive(Default)]
pub struct MemorySchedules {
    /// Line and next time by flow.
    known: Mutex<BTreeMap<String, (String, Timestamp)>>,
}

#[async_trait]
impl Schedules for MemorySchedules {
    async fn keep(&self, flow: &str, line: &str, first: Timestamp) -> Result<()> {
        let mut known = lock(&self.known);
        match known.get(flow) {
            Some((same, _)) if same == line => {}
            _ => drop(known.insert(flow.to_owned(), (line.to_owned(), first))),
        }
        Ok(())
    }

    async fn due(&self, now: Timestamp) -> Result<Vec<Due>> {
        let known = lock(&self.known);
        let due = known.iter().filter(|(_, (_, at))| *at <= now);
        let mut due: Vec<Due> = due.map(|(flow, (_, at))| Due { flow: flow.clone(), at: *at }).collect();
        due.sort_by_key(|due| due.at);
        Ok(due)
    }

    async fn move_on(&self, due: &Due, next: Timestamp) -> Result<bool> {
        match lock(&self.known).get_mut(&due.flow) {
            Some((_, at)) if *at == due.at => {
                *at = next;
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}
