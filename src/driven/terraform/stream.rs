//! Terraform's `-json` output, line by line: what is worth telling, how far it is, and why it failed.
//!
//! The format is Terraform's "machine-readable UI", major version 1. Unknown types and fields are left alone.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

/// Where the bar stands between the phases. The last five percent are the caller's: done means the process said so.
const REFRESH_FROM: f64 = 3.0;
const REFRESH_TO: f64 = 8.0;
const PLANNED: f64 = 10.0;
const APPLIED: f64 = 95.0;

/// Failures of a directory that `init` puts right. Terraform says them before it touches anything.
const NEEDS_INIT: [&str; 4] = [
    "Inconsistent dependency lock file",
    "Required plugins are not installed",
    "Module not installed",
    "Backend initialization required",
];

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
    planned: BTreeMap<String, Units>,
    percent: f64,
    /// Summaries of the diagnostics that are errors.
    errors: Vec<String>,
    outputs: Map<String, Value>,
    touched: bool,
    unsupported: Option<String>,
}

/// A replaced object is deleted and created, each told by itself.
struct Units {
    planned: u32,
    done: u32,
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(rename = "@message", default)]
    message: String,
    #[serde(default)]
    ui: String,
    hook: Option<Hook>,
    change: Option<Change>,
    changes: Option<Changes>,
    diagnostic: Option<Diagnostic>,
    outputs: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
struct Resource {
    #[serde(default)]
    addr: String,
}

#[derive(Deserialize)]
struct Hook {
    resource: Option<Resource>,
    #[serde(default)]
    action: String,
    #[serde(default)]
    output: String,
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
    pub fn new(known_objects: usize) -> Self {
        Self { known_objects, ..Self::default() }
    }

    /// Something outside was changed, or may have been.
    pub fn touched(&self) -> bool {
        self.touched
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

    /// Takes in one line. What is not JSON is passed on as it is.
    pub fn read(&mut self, text: &str) -> News {
        let Ok(line) = serde_json::from_str::<Line>(text) else {
            let lines = if text.trim().is_empty() { vec![] } else { vec![text.to_owned()] };
            return News { lines, ..News::default() };
        };
        let mut news = News::default();
        match line.kind.as_str() {
            "version" if line.ui.split('.').next() != Some("1") => self.unsupported = Some(line.ui),
            "version" => news.progress = self.advance(REFRESH_FROM, "Terraform has started"),
            "refresh_complete" => {
                self.refreshed += 1;
                let share = self.refreshed as f64 / self.known_objects.max(self.refreshed) as f64;
                let percent = REFRESH_FROM + share * (REFRESH_TO - REFRESH_FROM);
                news.progress = self.advance(percent, "Looking at what is there");
            }
            "planned_change" => {
                if let Some(change) = line.change {
                    self.plan(change);
                    news.lines.push(line.message);
                }
            }
            "change_summary" => {
                if line.changes.is_some_and(|changes| changes.operation == "plan") {
                    news.progress = self.advance(PLANNED, &line.message);
                }
                news.lines.push(line.message);
            }
            "apply_start" | "apply_progress" | "apply_complete" | "apply_errored" => {
                if let Some(hook) = line.hook {
                    news = self.apply(&line.kind, &hook, line.message);
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
        let planned = match change.action.as_str() {
            "create" | "update" | "delete" | "read" => 1,
            "replace" => 2,
            _ => return,
        };
        self.planned.insert(change.resource.addr, Units { planned, done: 0 });
    }

    fn apply(&mut self, kind: &str, hook: &Hook, message: String) -> News {
        // Data sources read while planning look like applies and are none.
        let reads = hook.action == "read";
        self.touched |= !reads;
        let addr = hook.resource.as_ref().map(|resource| resource.addr.as_str()).unwrap_or_default();
        let ended = kind == "apply_complete" || kind == "apply_errored";
        let Some(units) = self.planned.get_mut(addr) else {
            return News { lines: vec![message], state_changed: ended && !reads, ..News::default() };
        };
        if ended {
            units.done = units.planned.min(units.done + 1);
        }
        let (done, all) =
            self.planned.values().fold((0, 0), |(done, all), units| (done + units.done, all + units.planned));
        let percent = PLANNED + (APPLIED - PLANNED) * f64::from(done) / f64::from(all);
        let progress = self.advance(percent, &format!("{done} of {all} done. {message}"));
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

    fn advance(&mut self, percent: f64, message: &str) -> Option<(u8, String)> {
        self.percent = self.percent.max(percent.min(APPLIED));
        Some((self.percent as u8, message.to_owned()))
    }
}

#[cfg(test)]
mod tests;
