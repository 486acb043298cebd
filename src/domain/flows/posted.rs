//! A definition that came in a request rather than from a flow file.

use std::collections::BTreeMap;

use jsonschema::Validator;
use serde_json::Value;

use super::catalogue::{Alias, Flow};
use super::definition::Definition;
use super::reference::{Reference, Root, walk};
use super::registry::{Registry, schema_faults};
use crate::{Error, Fault, Result};

/// Reads definitions; holds the compiled schema of one.
pub struct Posted {
    schema: Validator,
}

impl Default for Posted {
    fn default() -> Self {
        let schema = Value::from(schemars::schema_for!(Definition));
        let schema =
            jsonschema::validator_for(&schema).expect("the schema of a definition is made by our own code");
        Self { schema }
    }
}

impl Posted {
    /// Reads and checks it; the error lists every fault with its pointer below `/flow`.
    pub fn read(
        &self,
        definition: Value,
        registry: &Registry,
        aliases: &BTreeMap<String, Alias>,
    ) -> Result<Flow> {
        let invalid = |faults| Error::invalid("flow.invalid", "This definition has faults.", faults);
        let faults = schema_faults(&self.schema, &definition, "/flow", "flow.shape_invalid");
        if !faults.is_empty() {
            return Err(invalid(faults));
        }
        let definition: Definition = serde_json::from_value(definition)
            .map_err(|error| invalid(vec![Fault::new("/flow", "flow.shape_invalid", error.to_string())]))?;
        let files_only =
            [("schedule", definition.schedule.is_some()), ("on_event", definition.on_event.is_some())];
        let faults: Vec<Fault> = files_only
            .into_iter()
            .filter(|(_, given)| *given)
            .map(|(field, _)| {
                Fault::new(format!("/flow/{field}"), "flow.files_only", "may stand in flow files only")
            })
            .collect();
        let faults = [faults, secret_faults(&definition)].concat();
        match Flow::new(definition, registry, aliases, "/flow") {
            Ok(flow) if faults.is_empty() => Ok(flow),
            Ok(_) => Err(invalid(faults)),
            Err(more) => Err(invalid([faults, more].concat())),
        }
    }
}

/// Whoever may post a definition may not thereby read every secret: only flow files name them.
fn secret_faults(definition: &Definition) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (position, step) in definition.tasks.iter().enumerate() {
        let Some(input) = &step.input else { continue };
        let mut found = |pointer: &str, reference: &Reference| {
            if matches!(reference.root, Root::Secret(_)) {
                faults.push(Fault::new(
                    pointer,
                    "reference.secret_forbidden",
                    "only flow files may name secrets",
                ));
            }
        };
        walk(input, &format!("/flow/tasks/{position}/input"), &mut found, &mut |_, _| {});
    }
    faults
}
