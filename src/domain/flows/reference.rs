//! References in a step's input: `${input.lab}`, `${caller.id}`, `${tasks.NAME.output.path}`.
//!
//! A string that is one reference and nothing else keeps the JSON type of what it refers to; inside a longer
//! string the value is written as text. `$${` is a literal `${`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::secret::Given;
use crate::users::Caller;

/// What a reference points at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Root {
    Input,
    Caller,
    Output(String),
    Secret(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    pub root: Root,
    /// Keys and positions below the root.
    pub path: Vec<String>,
    /// As it was written, for messages.
    pub text: String,
}

impl Reference {
    fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Some(path) = text.strip_prefix("secret:") {
            let valid =
                !path.is_empty() && path.chars().all(|c| c.is_ascii_alphanumeric() || "-_./#".contains(c));
            return match valid {
                true => Ok(Self { root: Root::Secret(path.to_owned()), path: vec![], text: text.to_owned() }),
                false => Err(format!("${{{text}}} does not name a secret")),
            };
        }
        let mut parts = text.split('.').map(str::to_owned);
        let root = match parts.next().as_deref() {
            Some("input") => Root::Input,
            Some("caller") => Root::Caller,
            Some("tasks") => match (parts.next(), parts.next().as_deref()) {
                (Some(step), Some("output")) if !step.is_empty() => Root::Output(step),
                _ => {
                    return Err(format!("${{{text}}} should read ${{tasks.NAME.output}} or a path below it"));
                }
            },
            _ => return Err(format!("${{{text}}} should start with input, caller, tasks or secret:")),
        };
        let path: Vec<String> = parts.collect();
        if path.iter().any(String::is_empty) {
            return Err(format!("${{{text}}} has an empty part"));
        }
        Ok(Self { root, path, text: text.to_owned() })
    }
}

/// A string taken apart.
#[derive(Debug, PartialEq)]
enum Piece {
    Text(String),
    Reference(Reference),
}

fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut found = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            literal.push_str(&rest[..at - 1]);
            literal.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        literal.push_str(&rest[..at]);
        let Some(end) = rest[at..].find('}') else {
            return Err("a ${ has no closing }".to_owned());
        };
        if !literal.is_empty() {
            found.push(Piece::Text(std::mem::take(&mut literal)));
        }
        found.push(Piece::Reference(Reference::parse(&rest[at + 2..at + end])?));
        rest = &rest[at + end + 1..];
    }
    literal.push_str(rest);
    if !literal.is_empty() || found.is_empty() {
        found.push(Piece::Text(literal));
    }
    Ok(found)
}

/// Calls `found` for every reference below `value`, with the JSON pointer of the string that holds it, and
/// `broken` for every string that cannot be read.
pub fn walk(
    value: &Value,
    at: &str,
    found: &mut dyn FnMut(&str, &Reference),
    broken: &mut dyn FnMut(&str, String),
) {
    match value {
        Value::String(text) if text.contains("${") => match pieces(text) {
            Ok(pieces) => {
                for piece in &pieces {
                    if let Piece::Reference(reference) = piece {
                        found(at, reference);
                    }
                }
            }
            Err(why) => broken(at, why),
        },
        Value::Array(items) => {
            for (position, item) in items.iter().enumerate() {
                walk(item, &format!("{at}/{position}"), found, broken);
            }
        }
        Value::Object(map) => {
            for (key, item) in map {
                walk(item, &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), found, broken);
            }
        }
        _ => {}
    }
}

/// What references may see.
pub struct Scope<'a> {
    pub input: &'a Value,
    pub caller: &'a Caller,
    pub outputs: &'a BTreeMap<String, Arc<Value>>,
    /// Values of secrets; without them a reference to one stays as it is written, for what may be stored and shown.
    pub secrets: Option<&'a Given>,
}

impl Scope<'_> {
    /// `value` with every reference replaced; the error names the one that leads nowhere.
    pub fn resolve(&self, value: &Value) -> Result<Value, String> {
        Ok(match value {
            Value::String(text) if text.contains("${") => self.resolve_text(text)?,
            Value::Array(items) => {
                Value::Array(items.iter().map(|item| self.resolve(item)).collect::<Result<_, _>>()?)
            }
            Value::Object(map) => Value::Object(
                map.iter()
                    .map(|(key, item)| Ok((key.clone(), self.resolve(item)?)))
                    .collect::<Result<_, String>>()?,
            ),
            plain => plain.clone(),
        })
    }

    fn resolve_text(&self, text: &str) -> Result<Value, String> {
        let pieces = pieces(text)?;
        if let [Piece::Reference(reference)] = pieces.as_slice() {
            return self.look_up(reference);
        }
        let mut whole = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => whole.push_str(&text),
                Piece::Reference(reference) => match self.look_up(&reference)? {
                    Value::String(text) => whole.push_str(&text),
                    Value::Null => {}
                    other => whole.push_str(&other.to_string()),
                },
            }
        }
        Ok(Value::String(whole))
    }

    /// An absent key below `input` is null, since a schema may leave it out; anything else absent is an error.
    fn look_up(&self, reference: &Reference) -> Result<Value, String> {
        let nowhere = || format!("${{{}}} leads nowhere", reference.text);
        let caller;
        let mut here = match &reference.root {
            Root::Input => self.input,
            Root::Caller => {
                caller = serde_json::json!({"id": self.caller.id, "role": self.caller.role});
                &caller
            }
            Root::Output(step) => self.outputs.get(step).map(Arc::as_ref).ok_or_else(nowhere)?,
            Root::Secret(path) => {
                return match self.secrets {
                    None => Ok(Value::String(format!("${{{}}}", reference.text))),
                    Some(given) => given.get(path).map(Value::from).ok_or_else(nowhere),
                };
            }
        };
        for part in &reference.path {
            let next = match here {
                Value::Object(map) => map.get(part),
                Value::Array(items) => part.parse::<usize>().ok().and_then(|position| items.get(position)),
                _ => None,
            };
            here = match (next, &reference.root) {
                (Some(next), _) => next,
                (None, Root::Input) => return Ok(Value::Null),
                (None, _) => return Err(nowhere()),
            };
        }
        Ok(here.clone())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::UserId;
    use crate::users::Role;

    fn resolve(value: Value) -> Result<Value, String> {
        let caller = Caller {
            id: UserId::parse("018f0000-0000-7000-8000-000000000001").unwrap(),
            role: Role::Learner,
        };
        let outputs = BTreeMap::from([("make".to_owned(), Arc::new(json!({"paths": ["/a", "/b"], "n": 3})))]);
        Scope {
            input: &json!({"lab": "web", "deep": {"x": true}}),
            caller: &caller,
            outputs: &outputs,
            secrets: None,
        }
        .resolve(&value)
    }

    #[test]
    fn a_whole_string_reference_keeps_its_type() {
        assert_eq!(resolve(json!("${tasks.make.output.n}")), Ok(json!(3)));
        assert_eq!(resolve(json!(["${input.deep}"])), Ok(json!([{"x": true}])));
        assert_eq!(resolve(json!("${tasks.make.output.paths.1}")), Ok(json!("/b")));
    }

    #[test]
    fn inside_a_string_it_is_text() {
        assert_eq!(
            resolve(json!({"k": "lab-${input.lab}-${tasks.make.output.n}"})),
            Ok(json!({"k": "lab-web-3"}))
        );
        assert_eq!(resolve(json!("as ${caller.role}")), Ok(json!("as learner")));
    }

    #[test]
    fn a_doubled_dollar_is_literal() {
        assert_eq!(resolve(json!("$${input.lab} ${input.lab}")), Ok(json!("${input.lab} web")));
    }

    #[test]
    fn what_is_missing_from_the_input_is_null_and_from_elsewhere_an_error() {
        assert_eq!(resolve(json!("${input.nothing}")), Ok(Value::Null));
        assert!(resolve(json!("${tasks.make.output.nothing}")).unwrap_err().contains("leads nowhere"));
        assert!(resolve(json!("${tasks.other.output}")).unwrap_err().contains("leads nowhere"));
    }

    #[test]
    fn broken_references_say_what_is_wrong() {
        for (text, word) in [
            ("${", "closing"),
            ("${env.HOME}", "should start"),
            ("${tasks.a}", "should read"),
            ("${input..a}", "empty part"),
        ] {
            assert!(resolve(json!(text)).unwrap_err().contains(word), "{text}");
        }
    }
}
