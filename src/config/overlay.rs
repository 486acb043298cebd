//! What the operator sets on top of the defaults: a file, then the environment.

use std::ffi::OsString;
use std::path::Path;

use toml::{Table, Value};

use super::schema::{Key, Schema, did_you_mean};

/// A key that someone set, and where, in words for messages.
pub(super) struct Override<'a> {
    pub key: &'a Key,
    pub value: Value,
    pub origin: String,
}

/// Reads the settings in a TOML file.
pub(super) fn from_file<'a>(schema: &'a Schema, file: &Path, faults: &mut Vec<String>) -> Vec<Override<'a>> {
    let shown = file.display();
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => {
            faults.push(format!("The settings file {shown} cannot be read: {error}."));
            return Vec::new();
        }
    };
    let table: Table = match text.parse() {
        Ok(table) => table,
        Err(error) => {
            // The error's own form quotes the line, which may hold a secret.
            let error: toml::de::Error = error;
            let line = error.span().map_or(0, |span| text[..span.start].lines().count().max(1));
            faults.push(format!("The settings file {shown} is not TOML, line {line}: {}.", error.message()));
            return Vec::new();
        }
    };
    let mut found = Vec::new();
    for (name, value) in table {
        match value {
            Value::Table(keys) if schema.is_section(&name) => {
                for (key, value) in keys {
                    take(schema, &format!("{name}.{key}"), value, file, &mut found, faults);
                }
            }
            value => take(schema, &name, value, file, &mut found, faults),
        }
    }
    found
}

fn take<'a>(
    schema: &'a Schema,
    name: &str,
    value: Value,
    file: &Path,
    found: &mut Vec<Override<'a>>,
    faults: &mut Vec<String>,
) {
    let shown = file.display();
    let Some(key) = schema.find(name) else {
        if schema.is_section(name) {
            return faults.push(format!("{name} in {shown} is a section, not a key."));
        }
        let known = schema.keys.iter().map(|key| key.name.as_str()).chain(schema.sections());
        return faults.push(format!("{name} in {shown} is not a setting{}", end(did_you_mean(name, known))));
    };
    if !value.same_type(&key.default) {
        return faults.push(format!("{name} in {shown} must be {}.", expected(&key.default)));
    }
    found.push(Override { key, value, origin: format!("{name} in {shown}") });
}

/// What commands that call a service sign in with, and where: no settings of the service.
const OF_THE_CLIENTS: [&str; 3] = ["FLOW_PASSWORD", "FLOW_EMAIL", "FLOW_URL"];

/// What this begins with is a secret of a flow's or a lab's own.
pub const OF_SECRETS: &str = "FLOW_SECRET_";

fn is_a_setting(name: &str) -> bool {
    name.starts_with("FLOW_") && !OF_THE_CLIENTS.contains(&name) && !name.starts_with(OF_SECRETS)
}

/// Reads the variables that begin with `FLOW_`; all others are none of our business.
pub(super) fn from_environment<'a>(
    schema: &'a Schema,
    environment: impl Iterator<Item = (OsString, OsString)>,
    faults: &mut Vec<String>,
) -> Vec<Override<'a>> {
    let mut found: Vec<Override<'a>> = Vec::new();
    let mut variables: Vec<_> = environment
        .filter_map(|(name, value)| Some((name.into_string().ok().filter(|name| is_a_setting(name))?, value)))
        .collect();
    variables.sort();
    for (name, value) in variables {
        let Ok(value) = value.into_string() else {
            faults.push(format!("{name} is not UTF-8 text."));
            continue;
        };
        let taken = match lookup(schema, &name) {
            None => {
                let known = schema.keys.iter().filter_map(|key| key.variable.as_deref());
                Err(format!("{name} is not a setting{}", end(did_you_mean(&name, known))))
            }
            Some((key, true)) => secret_file(&name, &value).map(|text| (key, text)),
            Some((key, false)) => parse(&name, key, &value).map(|value| (key, value)),
        };
        match taken {
            Err(fault) => faults.push(fault),
            Ok((key, _)) if found.iter().any(|other| other.key.name == key.name) => {
                faults.push(format!("{name} is set twice, as a value and as a file; leave one."));
            }
            Ok((key, value)) => found.push(Override { key, value, origin: name }),
        }
    }
    found
}

/// The key a variable sets, and whether the variable names a file that holds the value.
fn lookup<'a>(schema: &'a Schema, variable: &str) -> Option<(&'a Key, bool)> {
    let find = |name: &str| schema.keys.iter().find(|key| key.variable.as_deref() == Some(name));
    find(variable)
        .map(|key| (key, false))
        .or_else(|| Some((find(variable.strip_suffix("_FILE")?).filter(|key| key.secret)?, true)))
}

fn secret_file(name: &str, path: &str) -> Result<Value, String> {
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("{name}: {path} cannot be read: {error}."))?;
    Ok(Value::String(text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// Text to a value of the default's type.
fn parse(name: &str, key: &Key, text: &str) -> Result<Value, String> {
    let wrong = || format!("{name} must be {}.", expected(&key.default));
    let items = || text.split(',').map(str::trim).filter(|item| !item.is_empty());
    match &key.default {
        Value::Integer(_) => text.trim().parse().map(Value::Integer).map_err(|_| wrong()),
        Value::Boolean(_) => text.trim().parse().map(Value::Boolean).map_err(|_| wrong()),
        Value::Array(_) => Ok(Value::Array(items().map(|item| Value::String(item.to_owned())).collect())),
        Value::Table(_) => items()
            .map(|item| item.split_once('=').ok_or_else(wrong))
            .map(|pair| {
                pair.map(|(key, value)| (key.trim().to_owned(), Value::String(value.trim().to_owned())))
            })
            .collect::<Result<Table, _>>()
            .map(Value::Table),
        _ => Ok(Value::String(text.to_owned())),
    }
}

fn expected(default: &Value) -> &'static str {
    match default {
        Value::Integer(_) => "a whole number",
        Value::Boolean(_) => "true or false",
        Value::Array(_) => "a list of texts",
        Value::Table(_) => "a table, name = value",
        _ => "text",
    }
}

/// A sentence's end, unless a question already ends it.
fn end(question: String) -> String {
    if question.is_empty() { ".".into() } else { question }
}
