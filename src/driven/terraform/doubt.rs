//! What nobody can be sure of: a command that was killed while it changed something, or could not write its state.
//!
//! Terraform's state has the objects that were finished. Those that were being made may be there all the same, for
//! a provider outlives its Terraform, and no plan would find them. So the session is marked, and the mark names them.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use flow_domain::ports::TerraformEnd;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::place::{Command, Place};
use crate::driven::process::record::{Record, write_atomically};

/// The mark of a session of which something is in doubt.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubt {
    /// The command that was cut short.
    pub command: String,
    /// Addresses of objects that it had begun with and not finished.
    pub in_flight: BTreeSet<String>,
    /// Addresses of objects that it had made, by its own word. Its state may have been lost before it was copied.
    #[serde(default)]
    made: BTreeSet<String>,
}

impl Doubt {
    pub fn of(place: &Place) -> Option<Self> {
        let bytes = fs::read(place.doubt()).ok()?;
        // A mark that cannot be read is a mark.
        let unknown = || Self {
            command: "apply".to_owned(),
            in_flight: BTreeSet::from(["(unknown)".to_owned()]),
            made: BTreeSet::new(),
        };
        Some(serde_json::from_slice(&bytes).unwrap_or_else(|_| unknown()))
    }

    /// Marks a session whose command was cut short. A second one adds to what the first one left.
    pub fn mark(place: &Place, command: Command) {
        let mut doubt = told(&Record::at(place.record(command)).stdout());
        doubt.command = command.word().to_owned();
        if let Some(earlier) = Self::of(place) {
            doubt.in_flight.extend(earlier.in_flight);
            doubt.made.extend(earlier.made);
        }
        doubt.write(place);
    }

    /// Once the best state is in place: what was made and is not in it is in doubt as well.
    pub fn compared(mut self, place: &Place) -> Self {
        let known = fs::read(place.state()).map(|bytes| addresses(&bytes)).unwrap_or_default();
        self.in_flight
            .extend(std::mem::take(&mut self.made).into_iter().filter(|made| !known.contains(made)));
        self.write(place);
        self
    }

    /// Nothing was finished, so a state without anything is no lost state.
    pub fn made_nothing(&self) -> bool {
        self.command == Command::Apply.word() && self.made.is_empty()
    }

    fn write(&self, place: &Place) {
        let bytes = serde_json::to_vec(self).map_err(io::Error::from);
        if let Err(error) = bytes.and_then(|bytes| write_atomically(&place.doubt(), &bytes)) {
            log::error!("a session could not be marked as doubtful: {error}");
        }
    }

    /// What was found out or taken down is in doubt no more.
    pub fn settle(place: &Place) {
        let _ = fs::remove_file(place.doubt());
    }

    /// Whether making what is missing could make something twice, or what was to go again.
    pub fn forbids_apply(&self) -> bool {
        self.command != Command::Apply.word() || !self.in_flight.is_empty()
    }

    pub fn names(&self) -> String {
        match self.in_flight.is_empty() {
            true => "no object".to_owned(),
            false => self.in_flight.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
        }
    }

    pub fn end(&self) -> TerraformEnd {
        TerraformEnd::Killed(format!(
            "Terraform was cut short in its {}, and what it was working on is in doubt: {}.",
            self.command,
            self.names()
        ))
    }
}

/// Objects that the stream says were begun and not ended, and those that were made.
fn told(stream: &Path) -> Doubt {
    let mut doubt = Doubt { command: String::new(), in_flight: BTreeSet::new(), made: BTreeSet::new() };
    let Ok(file) = File::open(stream) else { return doubt };
    let lines = BufReader::new(file).split(b'\n').map_while(Result::ok);
    for line in lines.filter_map(|line| serde_json::from_slice::<Value>(&line).ok()) {
        let hook = &line["hook"];
        let (Some(address), Some(kind)) = (hook["resource"]["addr"].as_str(), line["type"].as_str()) else {
            continue;
        };
        match (kind, hook["action"].as_str()) {
            // Reading changes nothing.
            (_, Some("read")) => {}
            ("apply_start", _) => drop(doubt.in_flight.insert(address.to_owned())),
            ("apply_errored", _) => drop(doubt.in_flight.remove(address)),
            ("apply_complete", action) => {
                doubt.in_flight.remove(address);
                match action {
                    Some("delete") => doubt.made.remove(address),
                    _ => doubt.made.insert(address.to_owned()),
                };
            }
            _ => {}
        }
    }
    doubt
}

/// The addresses of a state's objects, as Terraform writes them.
fn addresses(state: &[u8]) -> BTreeSet<String> {
    let state: Value = serde_json::from_slice(state).unwrap_or_default();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut all = BTreeSet::new();
    for resource in list(&state["resources"]) {
        let word = |key: &str| resource[key].as_str().unwrap_or_default().to_owned();
        let module = resource["module"].as_str().map(|module| format!("{module}.")).unwrap_or_default();
        for instance in list(&resource["instances"]) {
            let key = match &instance["index_key"] {
                Value::Null => String::new(),
                key => format!("[{key}]"),
            };
            all.insert(format!("{module}{}.{}{key}", word("type"), word("name")));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_begun_and_not_ended_is_in_flight() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stdout");
        let line = |kind: &str, address: &str, action: &str| {
            serde_json::json!({"type": kind, "hook": {"resource": {"addr": address}, "action": action}})
                .to_string()
        };
        let lines = [
            line("apply_start", "data.x.read", "read"),
            line("apply_start", "a.one", "create"),
            line("apply_start", "a.two", "create"),
            "not json".to_owned(),
            line("apply_progress", "a.two", "create"),
            line("apply_complete", "a.one", "create"),
            line("apply_start", "a.three", "create"),
            line("apply_errored", "a.three", "create"),
            // The kill came in the middle of a line.
            line("apply_complete", "a.two", "create")[..30].to_owned(),
        ];
        fs::write(&path, lines.join("\n")).unwrap();
        let doubt = told(&path);
        assert_eq!(doubt.in_flight, BTreeSet::from(["a.two".to_owned()]));
        assert_eq!(doubt.made, BTreeSet::from(["a.one".to_owned()]));
        assert_eq!(told(&dir.path().join("none")).in_flight, BTreeSet::new());
    }

    #[test]
    fn addresses_are_as_terraform_writes_them() {
        let state = serde_json::json!({"resources": [
            {"type": "t", "name": "plain", "instances": [{}]},
            {"type": "t", "name": "counted", "instances": [{"index_key": 0}, {"index_key": 1}]},
            {"type": "t", "name": "keyed", "module": "module.m", "instances": [{"index_key": "a b"}]}]});
        let wanted = ["module.m.t.keyed[\"a b\"]", "t.counted[0]", "t.counted[1]", "t.plain"];
        assert_eq!(addresses(state.to_string().as_bytes()), wanted.map(str::to_owned).into());
        assert_eq!(addresses(b""), BTreeSet::new());
    }
}
