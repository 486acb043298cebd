//! The page as a whole, and what all answers have in common.

use std::collections::BTreeMap;

use rocket::http::Status;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::Operation;
use crate::driver::http::problem::ProblemBody;
use crate::driver::http::requests::REQUEST_ID;

/// A keyword of ours: what a schema says on the page alone. When a body is checked it means nothing, and the domain,
/// which finds the same faults, tells of them in better words.
const RULES: &str = "x-rules";
const ABOUT: &str = "Chains of tasks, run one after another, durably, and watched live over plain HTTP. \
                     No text in a body may hold the NUL character.";

/// The whole page.
pub(in super::super) fn document(operations: &[Operation]) -> Value {
    let mut generator = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into())
        .into_generator();
    let _ = generator.subschema_for::<ProblemBody>();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for operation in operations {
        let method = operation.method.as_str().to_lowercase();
        paths.entry(operation.path).or_default().insert(method, operation.render(&mut generator));
    }
    let mut page = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Flow Manager",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
        },
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    });
    apply_rules(&mut page);
    page
}

/// Puts each schema's [`RULES`] where they belong; null takes a keyword away.
fn apply_rules(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::Object(rules)) = fields.remove(RULES) {
                for (keyword, rule) in rules {
                    match rule {
                        Value::Null => drop(fields.remove(&keyword)),
                        rule => drop(fields.insert(keyword, rule)),
                    }
                }
            }
            fields.values_mut().for_each(apply_rules);
        }
        Value::Array(items) => items.iter_mut().for_each(apply_rules),
        _ => {}
    }
}

/// Adds the media types of another answer of the same status.
pub(super) fn both(response: &mut Value, mut other: Value) {
    let more = other.get_mut("content").and_then(Value::as_object_mut);
    if let (Some(content), Some(more)) = (response.get_mut("content").and_then(Value::as_object_mut), more) {
        content.append(more);
    }
}

/// Without codes it may have any.
pub(super) fn problem(description: &str, codes: &[&str]) -> Value {
    let mut schema = json!({"$ref": "#/components/schemas/Problem"});
    let mut description = description.to_owned();
    if !codes.is_empty() {
        schema["properties"] = json!({"code": {"enum": codes}});
        description.push_str(&format!(": `{}`", codes.join("`, `")));
    }
    json!({
        "description": description,
        "headers": Map::from_iter([request_id()]),
        "content": {"application/problem+json": {"schema": schema}},
    })
}

pub(super) fn request_id() -> (String, Value) {
    let header = json!({"description": "As in the service's log", "schema": {"type": "string"}});
    (REQUEST_ID.to_owned(), header)
}

pub(super) fn words(status: u16) -> &'static str {
    Status::new(status).reason_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_added_to_what_a_schema_says_and_null_takes_away() {
        let mut page = json!({"a": [{"type": "string", "x-rules": {"type": null, "maxLength": 3}}], "b": 1});
        apply_rules(&mut page);
        assert_eq!(page, json!({"a": [{"maxLength": 3}], "b": 1}));
    }
}
