//! Terraform's `-json` output, line by line: what is worth telling, how far it is, and why it failed.
//!
//! The format is Terraform's "machine-readable UI", major version 1. Unknown types and fields are left alone.

use std::time::Duration;

use flow_domain::labs::machines::MachinesAtWork;
use flow_domain::labs::{ObjectTime, Pace};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::bar::{Bar, Object, PLANNED, REFRESH_FROM, REFRESH_TO};

/// Failures of a directory that `init` puts right. Terraform says them before it touches anything.
const NEEDS_INIT: [&str; 4] = [
    "Inconsistent dependency lock file",
    "Required plugins are not installed",
    "Module not installed",
    "Backend initialization required",
];

/// Of a state that could not be written where it belongs.
const UNWRITTEN: [&str; 3] =
    ["Failed to write state", "Failed to save state", "Failed to persist state to backend"];

/// What one line brought.
#[derive(Debug, Default, PartialEq)]
pub struct News {
    /// For the log.
    pub lines: Vec<String>,
    /// For the bar: percent and words.
    pub progress: Option<(u8, String)>,
    /// An object was made, changed or removed: the state is another one now, or will be in a moment.
    pub state_changed: bool,
}

/// What is known of a command from what it said so far.
#[derive(Default)]
pub struct Stream {
    /// Objects that stood in the state before, each of which is refreshed once.
    known_objects: usize,
    refreshed: usize,
    bar: Bar,
    /// Summaries of the diagnostics that are errors.
    errors: Vec<String>,
    outputs: Map<String, Value>,
    touched: bool,
    planned: bool,
    unsupported: Option<String>,
    dumped: Option<Value>,
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(rename = "@message", default)]
    message: String,
    #[serde(rename = "@timestamp")]
    at: Option<Timestamp>,
    #[serde(default)]
    ui: String,
    hook: Option<Hook>,
    change: Option<Change>,
    changes: Option<Changes>,
    diagnostic: Option<Diagnostic>,
    outputs: Option<Map<String, Value>>,
    /// The whole of it, when it can be written to no file.
    state: Option<Value>,
}

#[derive(Deserialize)]
struct Resource {
    #[serde(default)]
    addr: String,
    #[serde(default)]
    resource_type: String,
}

#[derive(Deserialize)]
struct Hook {
    resource: Option<Resource>,
    #[serde(default)]
    action: String,
    #[serde(default)]
    output: String,
    id_value: Option<String>,
}

#[derive(Deserialize)]
struct Change {
    resource: Resource,
    #[serde(default)]
    action: String,
}

#[derive(Deserialize)]
struct Changes {
    #[serde(default)]
    operation: String,
}

#[derive(Deserialize)]
struct Diagnostic {
    #[serde(default)]
    severity: String,
    #[serde(default)]
    summary: String,
    #[serde(default)]
    detail: String,
}

impl Stream {
    /// `pace`: how long it took before.
    pub fn new(known_objects: usize, pace: Pace) -> Self {
        Self { known_objects, bar: Bar::new(pace), ..Self::default() }
    }

    /// An earlier process told of this command, and was so far.
    pub fn not_below(mut self, percent: u8) -> Self {
        self.bar.start_at(percent);
        self
    }

    /// What to tell while nothing is said, because time itself is progress.
    pub fn tick(&mut self, now: Timestamp) -> Option<(u8, String)> {
        if self.bar.ticks() { self.bar.objects(now) } else { None }
    }

    pub fn hear_machines(&mut self, seen: MachinesAtWork) {
        self.bar.hear_machines(seen);
    }

    /// How long it took from the first line to the last, and each object.
    pub fn times(&self) -> Option<(Duration, &[ObjectTime])> {
        self.bar.times()
    }

    /// Something outside was changed, or may have been.
    pub fn touched(&self) -> bool {
        self.touched
    }

    /// What is to be done is not known yet.
    pub fn is_planning(&self) -> bool {
        !self.planned && !self.touched
    }

    pub fn errors(&self) -> &[String] {
        &self.errors
    }

    /// The version of a format that we cannot read.
    pub fn unsupported(&self) -> Option<&str> {
        self.unsupported.as_deref()
    }

    /// Outputs that are not sensitive.
    pub fn outputs(&self) -> Value {
        Value::Object(self.outputs.clone())
    }

    /// It failed for nothing but a missing `init`.
    pub fn needs_init(&self) -> bool {
        let curable = |error: &String| NEEDS_INIT.iter().any(|summary| error.starts_with(summary));
        !self.touched && !self.errors.is_empty() && self.errors.iter().all(curable)
    }

    /// The state is not where it belongs.
    pub fn unwritten(&self) -> bool {
        self.errors.iter().any(|error| UNWRITTEN.contains(&error.as_str()))
    }

    /// The state, as Terraform tells it when no file takes it. It holds secrets in clear.
    pub fn dumped(&self) -> Option<Vec<u8>> {
        self.dumped.as_ref().map(|state| state.to_string().into_bytes())
    }

    /// Takes in one line. What is not JSON is passed on as it is.
    pub fn read(&mut self, text: &str) -> News {
        let Ok(line) = serde_json::from_str::<Line>(text) else {
            let lines = if text.trim().is_empty() { vec![] } else { vec![text.to_owned()] };
            return News { lines, ..News::default() };
        };
        let mut news = News::default();
        self.bar.heard(line.at);
        self.dumped = line.state.or(self.dumped.take());
        match line.kind.as_str() {
            "version" if line.ui.split('.').next() != Some("1") => self.unsupported = Some(line.ui),
            "version" => news.progress = self.bar.advance(REFRESH_FROM, "Terraform has started"),
            "refresh_complete" => {
                self.refreshed += 1;
                let share = self.refreshed as f64 / self.known_objects.max(self.refreshed) as f64;
                let percent = REFRESH_FROM + share * (REFRESH_TO - REFRESH_FROM);
                news.progress = self.bar.advance(percent, "Looking at what is there");
            }
            "planned_change" => {
                if let Some(change) = line.change {
                    self.plan(change);
                    news.lines.push(line.message);
                }
            }
            "change_summary" => {
                self.planned = true;
                if line.changes.is_some_and(|changes| changes.operation == "plan") {
                    news.progress = self.bar.advance(PLANNED, &line.message);
                }
                news.lines.push(line.message);
            }
            "apply_start" | "apply_progress" | "apply_complete" | "apply_errored" => {
                if let Some(hook) = line.hook {
                    news = self.apply(&line.kind, &hook, line.at, line.message);
                }
            }
            "provision_progress" => news.lines.extend(line.hook.map(|hook| hook.output)),
            "provision_start" | "provision_errored" | "log" | "resource_drift" | "state_lock_acquire" => {
                news.lines.push(line.message);
            }
            "diagnostic" => {
                if let Some(diagnostic) = line.diagnostic {
                    news.lines = self.diagnose(diagnostic);
                }
            }
            "outputs" => self.take_outputs(line.outputs.unwrap_or_default()),
            _ => {}
        }
        news
    }

    /// Plans of a saved plan send no summary, so the denominator is counted line by line.
    fn plan(&mut self, change: Change) {
        let Change { resource, action } = change;
        self.bar.plan(&resource.addr, &resource.resource_type, &action);
    }

    fn apply(&mut self, kind: &str, hook: &Hook, at: Option<Timestamp>, message: String) -> News {
        // Data sources read while planning look like applies and are none.
        let reads = hook.action == "read";
        self.touched |= !reads;
        let address = hook.resource.as_ref().map(|resource| resource.addr.as_str()).unwrap_or_default();
        let object = Object { address, action: &hook.action, id: hook.id_value.as_deref(), at };
        let ended = kind == "apply_complete" || kind == "apply_errored";
        match kind {
            "apply_start" => self.bar.begin(&object),
            "apply_progress" => {}
            _ => self.bar.end(&object, kind == "apply_complete"),
        }
        let progress = self.bar.objects(at.unwrap_or_else(Timestamp::now));
        News { lines: vec![message], progress, state_changed: ended && !reads }
    }

    fn diagnose(&mut self, diagnostic: Diagnostic) -> Vec<String> {
        let fatal = diagnostic.severity == "error";
        let word = if fatal { "Error" } else { "Warning" };
        let mut lines = vec![format!("{word}: {}", diagnostic.summary)];
        lines.extend(diagnostic.detail.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned));
        if fatal {
            self.errors.push(diagnostic.summary);
        }
        lines
    }

    /// While planning, outputs have no values yet; sensitive ones never have.
    fn take_outputs(&mut self, outputs: Map<String, Value>) {
        self.outputs = outputs
            .into_iter()
            .filter(|(_, output)| output["sensitive"] != Value::Bool(true))
            .filter_map(|(name, mut output)| Some((name, output.get_mut("value")?.take())))
            .collect();
    }
}

#[cfg(test)]
mod tests;
