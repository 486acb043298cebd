//! The named flows and the aliases that the operator configured.

use std::collections::BTreeMap;
use std::sync::Arc;

use jsonschema::Validator;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::check::check;
use super::definition::Definition;
use super::registry::{Registry, schema_faults};
use crate::Fault;

/// A name that steps may use for a task with an input of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alias {
    pub task: String,
    #[serde(default)]
    pub input: Option<Value>,
}

/// A definition that was checked, with what starting it needs at hand.
pub struct Flow {
    pub definition: Arc<Definition>,
    pub hash: Arc<str>,
    input: Option<Validator>,
}

impl Flow {
    /// Checks a definition against the tasks there are; `at` is the pointer of the definition in its document.
    pub fn new(
        definition: Definition,
        registry: &Registry,
        aliases: &BTreeMap<String, Alias>,
        at: &str,
    ) -> Result<Self, Vec<Fault>> {
        let definition = definition.resolved(aliases);
        let faults = check(&definition, registry, at);
        if !faults.is_empty() {
            return Err(faults);
        }
        let input = match &definition.input {
            Some(schema) => Some(jsonschema::validator_for(schema).map_err(|error| {
                vec![Fault::new(
                    format!("{at}/input"),
                    "flow.input_schema_invalid",
                    error.masked().to_string(),
                )]
            })?),
            None => None,
        };
        let flow = Self { hash: definition.hash().into(), definition: Arc::new(definition), input };
        match flow.schedule_faults(at) {
            faults if faults.is_empty() => Ok(flow),
            faults => Err(faults),
        }
    }

    /// Nobody is there to mend the input of a run that starts by itself.
    fn schedule_faults(&self, at: &str) -> Vec<Fault> {
        let Some(schedule) = &self.definition.schedule else { return Vec::new() };
        let faults = self.input_faults(&schedule.input());
        faults
            .into_iter()
            .map(|fault| Fault { pointer: format!("{at}/schedule{}", fault.pointer), ..fault })
            .collect()
    }

    /// Every way in which a run's input does not fit, with pointers below `/input`.
    pub fn input_faults(&self, input: &Value) -> Vec<Fault> {
        self.input
            .as_ref()
            .map(|validator| schema_faults(validator, input, "/input", "flow.input_invalid"))
            .unwrap_or_default()
    }
}

#[derive(Default)]
pub struct Catalogue {
    pub aliases: BTreeMap<String, Alias>,
    flows: BTreeMap<String, Arc<Flow>>,
}

impl Catalogue {
    /// Flows by their name. The error lists every fault of every flow, `NAME/pointer`.
    pub fn new(
        definitions: Vec<Definition>,
        aliases: BTreeMap<String, Alias>,
        registry: &Registry,
    ) -> Result<Self, Vec<Fault>> {
        let mut catalogue = Self { aliases, ..Self::default() };
        let mut faults = Vec::new();
        for definition in definitions {
            let name = definition.name.clone();
            match Flow::new(definition, registry, &catalogue.aliases, &name) {
                Ok(flow) => {
                    if catalogue.flows.insert(name.clone(), Arc::new(flow)).is_some() {
                        faults.push(Fault::new(
                            &name,
                            "flow.name_taken",
                            format!("two flows are named {name}"),
                        ));
                    }
                }
                Err(found) => faults.extend(found),
            }
        }
        if faults.is_empty() { Ok(catalogue) } else { Err(faults) }
    }

    pub fn get(&self, name: &str) -> Option<&Arc<Flow>> {
        self.flows.get(name)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Flow>> {
        self.flows.values()
    }

    /// The flow's name nearest to `name`, if one is near enough to be what was meant.
    pub fn nearest(&self, name: &str) -> Option<&str> {
        self.flows.keys().map(String::as_str).find(|known| strsim::damerau_levenshtein(known, name) <= 2)
    }
}
