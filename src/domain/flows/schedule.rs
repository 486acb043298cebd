//! Flows that start by themselves, at the times of a crontab line.

use std::sync::Arc;

use async_trait::async_trait;
use cronexpr::{Crontab, FallbackTimezoneOption, MakeTimestamp, ParseOptions, parse_crontab_with};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::service::Flows;
use super::store::Idempotency;
use crate::users::Caller;
use crate::{Kind, Result, RunId};

/// When a flow starts, as it is written: a crontab line, or one with the run's input beside it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Schedule {
    /// Minute, hour, day of month, month, day of week, and a time zone if it is not UTC:
    /// `30 3 * * MON-FRI Europe/Berlin`.
    Line(String),
    WithInput(ScheduleWithInput),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleWithInput {
    pub cron: String,
    pub input: Value,
}

impl Schedule {
    pub fn line(&self) -> &str {
        match self {
            Schedule::Line(line) => line,
            Schedule::WithInput(with) => &with.cron,
        }
    }

    /// What its runs are started with.
    pub fn input(&self) -> Value {
        match self {
            Schedule::Line(_) => json!({}),
            Schedule::WithInput(with) => with.input.clone(),
        }
    }

    /// What is wrong with the line, if anything is.
    pub fn fault(&self) -> Option<String> {
        self.next(Timestamp::UNIX_EPOCH).err()
    }

    /// The first time after this one.
    pub fn next(&self, after: Timestamp) -> Result<Timestamp, String> {
        let next = crontab(self.line())?.find_next(MakeTimestamp(after));
        next.map(|at| at.timestamp()).map_err(|error| error.to_string())
    }
}

fn crontab(line: &str) -> Result<Crontab, String> {
    let mut options = ParseOptions::default();
    options.fallback_timezone_option = FallbackTimezoneOption::UTC;
    parse_crontab_with(line, options).map_err(|error| {
        // The error draws the line with a mark below; what is wrong is its last line.
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or_default().trim().trim_start_matches('^').trim();
        format!("{line:?} is no crontab line: {reason}")
    })
}

/// A time at which a flow is to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    pub flow: String,
    pub at: Timestamp,
}

/// Where it is kept which times have been served.
///
/// An implementer guarantees: of several who `move_on` from the same time, one succeeds.
#[async_trait]
pub trait Schedules: Send + Sync {
    /// The flow starts next at `first`, unless it was known with this very line: then at the time it has.
    async fn keep(&self, flow: &str, line: &str, first: Timestamp) -> Result<()>;
    /// Times that have come, the oldest first.
    async fn due(&self, now: Timestamp) -> Result<Vec<Due>>;
    /// This time is served, the next is `next`; false when another process said so before.
    async fn move_on(&self, due: &Due, next: Timestamp) -> Result<bool>;
}

/// Starts flows at their times. Any number of processes may: a time is served once, also when it was missed.
pub struct Clockwork {
    flows: Arc<Flows>,
    schedules: Arc<dyn Schedules>,
}

impl Clockwork {
    pub fn new(flows: Arc<Flows>, schedules: Arc<dyn Schedules>) -> Self {
        Self { flows, schedules }
    }

    /// Whether any flow has a schedule.
    pub fn has_any(&self) -> bool {
        self.scheduled().next().is_some()
    }

    fn scheduled(&self) -> impl Iterator<Item = (&str, &Schedule)> {
        self.flows.catalogue().iter().filter_map(|flow| {
            let definition = &flow.definition;
            definition.schedule.as_ref().map(|schedule| (definition.name.as_str(), schedule))
        })
    }

    /// Makes the schedules of this process's flows known.
    pub async fn keep(&self, now: Timestamp) -> Result<()> {
        for (flow, schedule) in self.scheduled() {
            if let Ok(first) = schedule.next(now) {
                self.schedules.keep(flow, schedule.line(), first).await?;
            }
        }
        Ok(())
    }

    /// Starts what is due. Several missed times of a flow start it once.
    pub async fn tick(&self, now: Timestamp) -> Result<Vec<RunId>> {
        let mut started = Vec::new();
        for due in self.schedules.due(now).await? {
            // A flow of another process's files is that process's to start.
            let Some((_, schedule)) = self.scheduled().find(|(flow, _)| *flow == due.flow) else { continue };
            match self.start(&due, schedule).await {
                Ok(run) => started.push(run),
                // Asked again at the next tick, with the same key: it starts once however often it is asked.
                Err(error) if error.kind == Kind::Unavailable => return Err(error),
                Err(error) => {
                    log::error!("flow={} could not start at its time {}: {error}", due.flow, due.at)
                }
            }
            if let Ok(next) = schedule.next(now) {
                self.schedules.move_on(&due, next).await?;
            }
        }
        Ok(started)
    }

    /// The time is part of the key: however many processes start the flow for it, there is one run.
    async fn start(&self, due: &Due, schedule: &Schedule) -> Result<RunId> {
        let caller = Caller::system();
        let input = schedule.input();
        let key = Idempotency {
            caller: caller.id,
            scope: "schedule".to_owned(),
            key: format!("{} {}", due.flow, due.at),
            body_sha256: crate::hex(Sha256::digest(input.to_string())),
        };
        let started = self.flows.start(&caller, json!(due.flow), input, Some(key)).await?;
        if !started.replayed {
            log::info!("run={} flow={} started for its time {}", started.run.id, due.flow, due.at);
        }
        Ok(started.run.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(line: &str, after: &str) -> String {
        Schedule::Line(line.into()).next(after.parse().unwrap()).unwrap().to_string()
    }

    #[test]
    fn a_line_is_read_in_its_time_zone_also_over_the_change_of_the_clocks() {
        assert_eq!(next("30 3 * * *", "2026-11-21T03:30:00Z"), "2026-11-22T03:30:00Z");
        assert_eq!(next("30 3 * * * Europe/Berlin", "2026-11-21T03:00:00Z"), "2026-11-22T02:30:00Z");
        assert_eq!(next("30 3 * * * Europe/Berlin", "2026-03-28T12:00:00Z"), "2026-03-29T01:30:00Z");
        assert_eq!(next("0 8 * * MON", "2026-11-21T00:00:00Z"), "2026-11-23T08:00:00Z");
    }

    #[test]
    fn what_is_no_line_is_refused_in_one_sentence() {
        for line in ["", "* * * *", "61 * * * *", "0 0 30 2 *", "* * * * * Mars/Base", "@daily please"] {
            let fault = Schedule::Line(line.into()).fault();
            assert!(
                fault.as_ref().is_some_and(|why| !why.contains('\n') && why.len() > 25),
                "{line}: {fault:?}"
            );
        }
    }
}
