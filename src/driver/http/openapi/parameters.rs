//! What a request has besides its body.

use serde_json::{Value, json};

/// The parts of a path that stand for something.
pub(super) fn names_in(path: &'static str) -> impl Iterator<Item = &'static str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

pub(super) fn in_path(name: &str) -> Value {
    let schema = match name {
        "id" => json!({"type": "string", "format": "uuid"}),
        _ => json!({"type": "string"}),
    };
    parameter("path", name, "", true, schema)
}

pub(super) fn in_query(name: &str, description: &str, schema: Value) -> Value {
    parameter("query", name, description, false, schema)
}

pub(super) fn in_header(name: &str, description: &str) -> Value {
    let schema = match name {
        "Idempotency-Key" => json!({"type": "string", "pattern": "^[!-~]{1,255}$"}),
        _ => json!({"type": "string"}),
    };
    parameter("header", name, description, false, schema)
}

fn parameter(place: &str, name: &str, description: &str, required: bool, schema: Value) -> Value {
    json!({"in": place, "name": name, "description": description, "required": required, "schema": schema})
}
