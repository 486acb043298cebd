//! Laws of all tasks, whoever wrote them, and of the flows that are shipped with them.

mod crashes;
mod shipped;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use flow_domain::flows::Registry;
use serde_json::{Map, Value};

use crate::all;

fn task_files() -> BTreeSet<String> {
    fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .expect("the crate's folder is there while its tests run")
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| path.file_stem().expect("a file has a name").to_string_lossy().into_owned())
        .filter(|name| name != "lib")
        .collect()
}

fn names() -> BTreeSet<String> {
    all().iter().map(|task| task.name().to_owned()).collect()
}

#[test]
fn every_file_has_its_line_in_lib_rs() {
    let names = names();
    for file in task_files() {
        assert!(
            names.contains(&file),
            "tasks/{file}.rs has no line in tasks/lib.rs, or its task has another name"
        );
    }
}

#[test]
fn every_task_is_named_after_its_file() {
    let files = task_files();
    for name in names() {
        assert!(files.contains(&name), "the task {name} is not in a file tasks/{name}.rs");
    }
}

#[test]
fn the_registry_takes_all_tasks() {
    if let Err(why) = Registry::new(all()) {
        panic!("{why}");
    }
}

#[test]
fn names_and_descriptions_are_fit_to_be_shown() {
    for task in all() {
        let name = task.name();
        assert!(!name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name:?}");
        let description = task.description();
        assert!(description.ends_with('.') && description.len() <= 200, "{name}: {description:?}");
    }
}

#[test]
fn policies_allow_at_least_one_attempt_of_some_length() {
    for task in all() {
        let policy = task.policy();
        assert!(policy.attempts >= 1 && !policy.timeout.is_zero(), "{}: {policy:?}", task.name());
        assert!(policy.backoff <= policy.backoff_max, "{}: {policy:?}", task.name());
    }
}

#[test]
fn every_property_of_every_schema_is_described() {
    for task in all() {
        for (which, schema) in [("input", task.input_schema()), ("output", task.output_schema())] {
            let mut missing = Vec::new();
            find_undescribed(schema.as_value(), which, &mut missing);
            assert!(missing.is_empty(), "{}: no description for {missing:?}", task.name());
        }
    }
}

#[test]
fn every_input_is_an_object_that_refuses_unknown_fields() {
    for task in all() {
        let schema = Value::from(task.input_schema());
        assert_eq!(schema["type"], "object", "{}", task.name());
        assert_eq!(schema["additionalProperties"], false, "{}: deny_unknown_fields is missing", task.name());
    }
}

/// Looks through the whole schema, definitions and alternatives included.
fn find_undescribed(schema: &Value, at: &str, missing: &mut Vec<String>) {
    match schema {
        Value::Object(map) => {
            for (name, property) in map.get("properties").and_then(Value::as_object).unwrap_or(&Map::new()) {
                if property["description"].as_str().is_none_or(str::is_empty) {
                    missing.push(format!("{at}.{name}"));
                }
            }
            for (key, value) in map {
                find_undescribed(value, &format!("{at}.{key}"), missing);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| find_undescribed(item, at, missing)),
        _ => {}
    }
}
