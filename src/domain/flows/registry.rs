//! The tasks this process can run, by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

use super::task::{Effect, Task};
use crate::Fault;

/// A task with its compiled input schema.
pub struct Registered {
    pub task: Arc<dyn Task>,
    pub input_schema: Value,
    pub output_schema: Value,
    validator: Validator,
}

impl Registered {
    /// Every way in which `input` does not fit, with pointers below `at`.
    pub fn faults(&self, input: &Value, at: &str) -> Vec<Fault> {
        schema_faults(&self.validator, input, at, "task.input_invalid")
    }
}

#[derive(Default)]
pub struct Registry {
    tasks: BTreeMap<&'static str, Registered>,
}

impl Registry {
    /// Refuses what would break a law of the engine; the error names the task.
    pub fn new(tasks: Vec<Arc<dyn Task>>) -> Result<Self, String> {
        let mut registry = Self::default();
        for task in tasks {
            registry.add(task)?;
        }
        Ok(registry)
    }

    fn add(&mut self, task: Arc<dyn Task>) -> Result<(), String> {
        let name = task.name();
        if task.effect() == Effect::Pure && task.undoable() {
            return Err(format!("task {name} is pure and has an undo; a pure task has nothing to take back"));
        }
        let input_schema = Value::from(task.input_schema());
        let output_schema = Value::from(task.output_schema());
        let validator = jsonschema::validator_for(&input_schema)
            .map_err(|error| format!("task {name} has an unusable input schema: {error}"))?;
        if self.tasks.insert(name, Registered { task, input_schema, output_schema, validator }).is_some() {
            return Err(format!("two tasks are named {name}"));
        }
        Ok(())
    }

    pub fn get(&self, name: &str) -> Option<&Registered> {
        self.tasks.get(name)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Registered)> {
        self.tasks.iter().map(|(name, registered)| (*name, registered))
    }

    /// The known name nearest to `name`, if one is near enough to be what was meant.
    pub fn nearest(&self, name: &str) -> Option<&'static str> {
        self.tasks.keys().copied().find(|known| strsim::damerau_levenshtein(known, name) <= 2)
    }
}

/// Every fault of `value` under a compiled schema, with pointers below `at`. A field that is missing and one that is
/// unknown are each a fault of their own, at the place where they would be or are.
pub fn schema_faults(validator: &Validator, value: &Value, at: &str, code: &str) -> Vec<Fault> {
    validator.iter_errors(value).flat_map(|error| faults_of(&error, at, code)).collect()
}

fn faults_of(error: &ValidationError<'_>, at: &str, code: &str) -> Vec<Fault> {
    let here = format!("{at}{}", error.instance_path());
    let field = |name: &str| format!("{here}/{}", name.replace('~', "~0").replace('/', "~1"));
    match error.kind() {
        ValidationErrorKind::Required { property: Value::String(name) } => {
            vec![Fault::new(field(name), code, "This field is required.")]
        }
        ValidationErrorKind::AdditionalProperties { unexpected } => unexpected
            .iter()
            .map(|name| Fault::new(field(name), code, "There is no such field here."))
            .collect(),
        // The masked form says what is wrong without repeating the value, which may be a secret.
        _ => vec![Fault::new(here, code, error.masked().to_string())],
    }
}
