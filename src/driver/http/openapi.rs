//! The OpenAPI page, made from what each resource says of its operations.

mod page;
mod parameters;

use std::collections::BTreeMap;

use flow_domain::users::Role;
use rocket::Route;
use rocket::http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::examples;
pub(super) use page::document;
use page::{both, problem, request_id, words};
use parameters::{in_header, in_path, in_query, names_in};

/// Calls that are answered without the database.
const NEEDS_NOTHING: [&str; 6] = ["/livez", "/readyz", "/health", "/metrics", "/openapi.json", "/docs"];

/// What one file of this driver adds to the service.
pub struct Resource {
    pub routes: Vec<Route>,
    pub operations: Vec<Operation>,
}

/// Names a type's schema in the page's components.
type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// One call, as a caller must know it.
pub struct Operation {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) role: Option<Role>,
    summary: &'static str,
    body: Option<(SchemaOf, bool)>,
    answers: Vec<Said>,
    problems: BTreeMap<u16, Vec<&'static str>>,
    parameters: Vec<Value>,
}

struct Said {
    status: u16,
    description: &'static str,
    media: &'static str,
    schema: Option<SchemaOf>,
    headers: Vec<(&'static str, &'static str)>,
}

impl Operation {
    /// `path` is as OpenAPI writes it: `/flow-manager/runs/{id}`. Without a role everyone may call.
    pub fn new(method: Method, path: &'static str, summary: &'static str) -> Self {
        let parameters = names_in(path).map(in_path).collect();
        Self {
            method,
            path,
            summary,
            role: None,
            body: None,
            answers: Vec::new(),
            problems: BTreeMap::new(),
            parameters,
        }
    }

    /// The lowest role that may call: the guard in the handler's signature.
    pub fn role(mut self, floor: Role) -> Self {
        self.role = Some(floor);
        self
    }

    /// The body of a `JsonBody<T>`.
    pub fn body<T: JsonSchema>(mut self) -> Self {
        self.body = Some((|generator| generator.subschema_for::<T>(), true));
        self
    }

    /// The body of a `MaybeJsonBody<T>`.
    pub fn maybe_body<T: JsonSchema>(mut self) -> Self {
        self.body = Some((|generator| generator.subschema_for::<T>(), false));
        self
    }

    /// A query parameter; `schema` is a JSON Schema.
    pub fn query(mut self, name: &'static str, description: &'static str, schema: Value) -> Self {
        self.parameters.push(in_query(name, description, schema));
        self
    }

    /// A list that is read page by page.
    pub fn paged(self, most: impl Into<i64>) -> Self {
        let limit = json!({"type": "integer", "minimum": 1, "maximum": most.into()});
        self.query("limit", "Entries a page, 50 when left out", limit).query(
            "cursor",
            "`next_cursor` of the answer before",
            json!({"type": "string", "format": "uuid"}),
        )
    }

    /// What a part of the path may be, where its name alone does not say so.
    pub fn part(mut self, name: &str, schema: Value) -> Self {
        for parameter in
            self.parameters.iter_mut().filter(|known| known["in"] == "path" && known["name"] == name)
        {
            parameter["schema"] = schema.clone();
        }
        self
    }

    /// A header the call looks at.
    pub fn takes_header(mut self, name: &'static str, description: &'static str) -> Self {
        self.parameters.push(in_header(name, description));
        self
    }

    /// A JSON answer.
    pub fn answers<T: JsonSchema>(self, status: u16, description: &'static str) -> Self {
        self.said(status, description, "application/json", Some(|generator| generator.subschema_for::<T>()))
    }

    /// An answer of another media type; `""` has no body.
    pub fn answers_with(self, status: u16, media: &'static str, description: &'static str) -> Self {
        self.said(status, description, media, None)
    }

    /// A header of the answer added last.
    pub fn header(mut self, name: &'static str, description: &'static str) -> Self {
        self.answers
            .last_mut()
            .expect("headers follow the answer they belong to")
            .headers
            .push((name, description));
        self
    }

    /// Codes of this call alone; those of every body, token and path are added by themselves.
    pub fn problem(mut self, status: u16, codes: &[&'static str]) -> Self {
        self.problems.entry(status).or_default().extend(codes);
        self
    }

    fn said(
        mut self,
        status: u16,
        description: &'static str,
        media: &'static str,
        schema: Option<SchemaOf>,
    ) -> Self {
        self.answers.push(Said { status, description, media, schema, headers: Vec::new() });
        self
    }

    fn all_problems(&self) -> BTreeMap<u16, Vec<&'static str>> {
        let mut problems = self.problems.clone();
        let mut add = |status: u16, codes: &[&'static str]| problems.entry(status).or_default().extend(codes);
        if let Some((_, required)) = self.body {
            add(400, if required { &["body.missing", "body.not_json"] } else { &["body.not_json"] });
            add(400, &["body.unread"]);
            add(413, &["body.too_large"]);
            add(415, &["body.not_json_type"]);
            add(422, &["body.invalid"]);
        }
        if self.parameters.iter().any(|parameter| parameter["name"] == "Idempotency-Key") {
            add(400, &["idempotency.key_invalid"]);
        }
        if self.parameters.iter().any(|parameter| parameter["in"] == "query") {
            add(400, &["query.invalid"]);
        }
        if let Some(floor) = self.role {
            add(
                401,
                &["auth.token_missing", "auth.token_invalid", "auth.token_expired", "auth.token_revoked"],
            );
            add(503, &["auth.unknown"]);
            if floor > Role::Anonymous {
                add(403, &["auth.role_too_low"]);
            }
        }
        if !NEEDS_NOTHING.iter().any(|path| self.path.starts_with(path)) {
            add(503, &["database.unavailable", "database.busy"]);
        }
        for codes in problems.values_mut() {
            codes.sort_unstable();
            codes.dedup();
        }
        problems
    }

    fn render(&self, generator: &mut SchemaGenerator) -> Value {
        let mut operation = json!({
            "summary": self.summary,
            "operationId": self.id(),
            "tags": self.path.split('/').find(|part| !part.is_empty()).into_iter().collect::<Vec<_>>(),
            "parameters": self.parameters,
            "responses": self.responses(generator),
        });
        if let Some((schema, required)) = self.body {
            let mut content = json!({"schema": schema(generator)});
            if let Some(example) = examples::body(self.method, self.path) {
                content["example"] = example;
            }
            operation["requestBody"] =
                json!({"required": required, "content": {"application/json": content}});
        }
        if let Some(floor) = self.role {
            operation["security"] = json!([{"token": []}]);
            operation["x-role"] = json!(floor);
        }
        operation
    }

    fn responses(&self, generator: &mut SchemaGenerator) -> Map<String, Value> {
        let mut responses = Map::new();
        for (status, codes) in self.all_problems() {
            responses.insert(status.to_string(), problem(words(status), &codes));
        }
        // A status may be both: 503 is an answer of /health and a problem of many.
        for said in &self.answers {
            let mut headers = Map::from_iter([request_id()]);
            for (name, description) in &said.headers {
                headers.insert(
                    (*name).into(),
                    json!({"description": description, "schema": {"type": "string"}}),
                );
            }
            let mut response = json!({"description": said.description, "headers": headers});
            if !said.media.is_empty() {
                let content = match said.schema {
                    Some(of) => json!({"schema": of(generator)}),
                    // A schema would be one event's.
                    None if said.media == "text/event-stream" => json!({}),
                    None => json!({"schema": {"type": "string"}}),
                };
                response["content"] = json!({said.media: content});
            }
            if let Some(other) = responses.remove(&said.status.to_string()) {
                both(&mut response, other);
            }
            responses.insert(said.status.to_string(), response);
        }
        responses.insert("default".into(), problem("Any other problem", &[]));
        responses
    }

    fn id(&self) -> String {
        let words =
            self.path.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        words.fold(self.method.as_str().to_lowercase(), |id, word| format!("{id}_{word}"))
    }
}
