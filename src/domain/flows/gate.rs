//! What keeps runs from going on that could: limits on how many go on at once, and pauses.

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::definition::Definition;
use crate::UserId;

/// The most characters of a pause's reason.
pub const LONGEST_REASON: usize = 500;

/// What a limit or a pause is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Gate {
    /// Runs of this flow, by its name.
    Flow(String),
    /// All runs.
    Service,
}

impl Gate {
    /// The gates that a run of this flow passes, in order.
    pub fn of(definition: &Definition, service_is_limited: bool) -> Vec<Self> {
        let flow = definition.at_once.map(|_| Gate::Flow(definition.name.clone()));
        flow.into_iter().chain(service_is_limited.then_some(Gate::Service)).collect()
    }

    /// As it is stored.
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix("flow ") {
            Some(name) => Some(Gate::Flow(name.to_owned())),
            None => (text == "service").then_some(Gate::Service),
        }
    }

    pub fn is_before(&self, flow: &str) -> bool {
        match self {
            Gate::Flow(name) => name == flow,
            Gate::Service => true,
        }
    }

    /// The flow's name; none: all flows.
    pub fn flow(&self) -> Option<&str> {
        match self {
            Gate::Flow(name) => Some(name),
            Gate::Service => None,
        }
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Gate::Flow(name) => write!(f, "flow {name}"),
            Gate::Service => f.write_str("service"),
        }
    }
}

/// No new step starts behind this gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    pub gate: Gate,
    pub since: Timestamp,
    pub by: UserId,
    pub reason: Option<String>,
}

/// A pause as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PauseCard {
    /// The flow's name; none: the whole service.
    pub flow: Option<String>,
    pub since: Timestamp,
    /// The user who paused it.
    pub by: UserId,
    pub reason: Option<String>,
}

impl From<Pause> for PauseCard {
    fn from(pause: Pause) -> Self {
        let Pause { gate, since, by, reason } = pause;
        Self { flow: gate.flow().map(str::to_owned), since, by, reason }
    }
}

/// A run's place among those that wait at a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitQueue {
    pub gate: Gate,
    pub at_once: i64,
    /// How many stand before it.
    pub ahead: i64,
}
