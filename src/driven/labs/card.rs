//! `lab.toml`: one struct per section, checked against its schema so that every fault is told and not the first.

use std::collections::BTreeMap;

use flow_domain::flows::registry::schema_faults;
use flow_domain::labs::{AskedAnswer, Difficulty, Grading, LabLimits, faults_of_list};
use flow_domain::users::Role;
use jsonschema::Validator;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Deserialize;
use serde_json::Value;

use super::LabFault;

pub const FILE: &str = "lab.toml";

/// Variables that the service gives to every lab.
const OWN_VARIABLES: [&str; 3] = ["session", "learner", "lab"];

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Card {
    #[schemars(length(min = 1, max = 100))]
    pub title: String,
    #[schemars(length(min = 1, max = 500))]
    pub summary: String,
    /// How long a learner needs.
    #[schemars(range(min = 1, max = 1440))]
    pub minutes: u32,
    #[serde(default)]
    pub difficulty: Difficulty,
    /// Roles that may use it; operators always may.
    #[serde(default = "learners")]
    pub allow: Vec<Role>,
    /// Terraform's outputs that the learner sees; left out, all that are not sensitive.
    #[serde(default)]
    pub outputs: Option<Vec<String>>,
    /// Machines that its Terraform makes on the Proxmox VE, at most.
    #[serde(default)]
    #[schemars(range(max = 100))]
    pub machines: u32,
    /// What learners hand in; left out, the grader takes what comes.
    #[serde(default)]
    #[schemars(length(max = 20))]
    pub answers: Vec<AskedAnswer>,
    #[serde(default)]
    pub limits: LabLimits,
    #[serde(default)]
    pub variables: BTreeMap<String, Variable>,
    /// Variables whose values are secrets: by name, the secret's path.
    #[serde(default)]
    pub secrets: BTreeMap<String, String>,
    #[serde(default)]
    pub grading: Grading,
}

/// A value for Terraform. Lists and tables reach it as JSON, which its own syntax includes.
#[derive(Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Variable(Value);

impl Variable {
    /// As Terraform reads it from its environment.
    pub fn text(&self) -> String {
        match &self.0 {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }
}

fn learners() -> Vec<Role> {
    vec![Role::Learner]
}

/// Reads the card; every fault is added to `faults`.
pub fn read(text: &str, faults: &mut Vec<LabFault>) -> Option<Card> {
    let table: toml::Table = match toml::from_str(text) {
        Ok(table) => table,
        Err(error) => {
            faults.push(LabFault::new(FILE, "", error.to_string().trim()));
            return None;
        }
    };
    let value = match serde_json::to_value(table) {
        Ok(value) => value,
        Err(error) => {
            faults.push(LabFault::new(FILE, "", error.to_string()));
            return None;
        }
    };
    let before = faults.len();
    let found = schema_faults(&validator(), &value, "", "lab.invalid");
    faults.extend(found.into_iter().map(|fault| {
        let key = fault.pointer.trim_start_matches('/').replace('/', ".");
        LabFault::new(FILE, &key, fault.detail)
    }));
    if let Some(variables) = value["variables"].as_object() {
        faults.extend(variables.keys().filter_map(|name| variable_fault("variables", name)));
    }
    for (name, path) in value["secrets"].as_object().into_iter().flatten() {
        faults.extend(variable_fault("secrets", name));
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./#".contains(letter);
        if path.as_str().is_some_and(|path| path.is_empty() || !path.chars().all(plain)) {
            faults.push(LabFault::new(FILE, &format!("secrets.{name}"), "is no path of a secret"));
        }
        if value["variables"].get(name).is_some() {
            faults.push(LabFault::new(FILE, &format!("secrets.{name}"), "is a variable with a value, too"));
        }
    }
    if faults.len() > before {
        return None;
    }
    let card: Card = match serde_json::from_value(value) {
        Ok(card) => card,
        Err(error) => {
            faults.push(LabFault::new(FILE, "", error.to_string()));
            return None;
        }
    };
    let of_answers = faults_of_list(&card.answers).into_iter();
    faults.extend(
        of_answers.map(|(at, key, detail)| LabFault::new(FILE, &format!("answers.{at}.{key}"), detail)),
    );
    Some(card)
}

fn variable_fault(table: &str, name: &str) -> Option<LabFault> {
    let key = format!("{table}.{name}");
    if OWN_VARIABLES.contains(&name) {
        return Some(LabFault::new(FILE, &key, "is given by the service"));
    }
    let word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    let starts = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    (!word || !starts).then(|| LabFault::new(FILE, &key, "is no name of a variable"))
}

fn validator() -> Validator {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Card>();
    jsonschema::validator_for(schema.as_value()).expect("the schema of our own struct is one")
}
