//! Keeps the values of headers that authorize out of what a server echoes.

use serde_json::{Map, Value};

const MASK: &str = "***";

/// A shorter value would also be found where it is not meant; it is masked only where it stands alone.
const SHORTEST_WITHIN_TEXT: usize = 6;

/// A header whose name holds one of these authorizes.
const TELLTALE: [&str; 9] =
    ["auth", "cookie", "credential", "key", "pass", "secret", "session", "signature", "token"];

pub struct Scrubber {
    /// The longest first, so that no part of one is left beside a mask.
    secrets: Vec<String>,
}

impl Scrubber {
    pub fn of<'a>(headers: impl Iterator<Item = (&'a String, &'a String)>) -> Self {
        let mut secrets = Vec::new();
        for (name, value) in headers {
            let name = name.to_lowercase();
            if !TELLTALE.iter().any(|word| name.contains(word)) {
                continue;
            }
            secrets.push(value.trim().to_owned());
            // Of `Bearer abc` also the bare abc, of a cookie's `a=b; c=d` also b and d.
            secrets.extend(value.split_once(' ').map(|(_, rest)| rest.trim().to_owned()));
            secrets.extend(
                value
                    .split(';')
                    .filter_map(|part| part.split_once('='))
                    .map(|(_, part)| part.trim().to_owned()),
            );
        }
        // In a text that is JSON but does not say so, a secret is written with JSON's escapes.
        let escaped: Vec<String> = secrets.iter().map(|secret| json_escaped(secret)).collect();
        secrets.extend(escaped);
        secrets.retain(|secret| !secret.is_empty());
        secrets.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        secrets.dedup();
        Self { secrets }
    }

    pub fn scrub(&self, value: &mut Value) {
        if self.secrets.is_empty() {
            return;
        }
        match value {
            Value::String(text) => *text = self.scrubbed(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.scrub(item)),
            Value::Object(map) => {
                let scrubbed: Map<String, Value> = std::mem::take(map)
                    .into_iter()
                    .map(|(key, mut item)| {
                        self.scrub(&mut item);
                        (self.scrubbed(&key), item)
                    })
                    .collect();
                *map = scrubbed;
            }
            Value::Number(number) if self.secrets.contains(&number.to_string()) => {
                *value = Value::String(MASK.to_owned());
            }
            _ => {}
        }
    }

    pub fn scrubbed(&self, text: &str) -> String {
        if self.secrets.iter().any(|secret| secret == text.trim()) {
            return MASK.to_owned();
        }
        self.secrets
            .iter()
            .filter(|secret| secret.len() >= SHORTEST_WITHIN_TEXT)
            .fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), MASK))
    }
}

fn json_escaped(text: &str) -> String {
    let quoted = Value::String(text.to_owned()).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}
