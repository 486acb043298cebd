//! Secrets: resolved when a step starts, never stored, and scrubbed from everything a task gives back.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Result;

/// Shorter values are refused: scrubbing them would tear holes into honest text.
pub const SHORTEST: usize = 6;

/// What stands where a secret was.
const MASK: &str = "***";

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Given({} secrets)", self.values.len())
    }
}

/// Which version of which secret a step was given: enough to find the value again, and nothing of the value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretVersion {
    pub path: String,
    pub version: String,
}

/// Where secrets are kept.
#[async_trait]
pub trait Secrets: Send + Sync {
    /// The value and its version: this one, or the newest. `NotFound` when there is none, or no longer.
    async fn resolve(&self, path: &str, version: Option<&str>) -> Result<(String, String)>;
}

/// The values that a run was given so far.
#[derive(Clone, Default)]
pub struct Given {
    values: BTreeMap<String, String>,
    /// Every form in which a value may come back, longest first.
    forms: Vec<String>,
}

impl Given {
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub fn get(&self, path: &str) -> Option<&str> {
        self.values.get(path).map(String::as_str)
    }

    pub fn add(&mut self, path: &str, value: String) {
        self.forms.extend(forms_of(&value));
        self.forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        self.forms.dedup();
        self.values.insert(path.to_owned(), value);
    }

    /// The text with every form of every value masked.
    pub fn scrub(&self, text: &str) -> String {
        let mut clean = text.to_owned();
        for form in &self.forms {
            if clean.contains(form.as_str()) {
                clean = clean.replace(form.as_str(), MASK);
            }
        }
        clean
    }

    /// The same for every string and key below a value.
    pub fn scrub_value(&self, value: Value) -> Value {
        if self.forms.is_empty() {
            return value;
        }
        match value {
            Value::String(text) => Value::String(self.scrub(&text)),
            Value::Array(items) => {
                Value::Array(items.into_iter().map(|item| self.scrub_value(item)).collect())
            }
            Value::Object(map) => Value::Object(
                map.into_iter().map(|(key, item)| (self.scrub(&key), self.scrub_value(item))).collect(),
            ),
            Value::Number(number) if self.forms.contains(&number.to_string()) => {
                Value::String(MASK.to_owned())
            }
            plain => plain,
        }
    }
}

/// A value as it is, and as base64, URL, JSON and shell would write it; each line of one with several lines.
fn forms_of(value: &str) -> Vec<String> {
    let mut forms = Vec::new();
    let lines = value.lines().map(str::trim).filter(|line| line.len() >= SHORTEST);
    for text in std::iter::once(value).chain(lines) {
        let json = Value::from(text).to_string();
        forms.push(text.to_owned());
        forms.push(json[1..json.len() - 1].to_owned());
        forms.push(text.replace('\'', "'\\''"));
        forms.push(shell_escaped(text));
        forms.push(json_ascii(text));
        forms.extend(
            URL_PLAIN.iter().flat_map(|plain| [true, false].map(|upper| percent_encoded(text, plain, upper))),
        );
        forms.push(percent_encoded(text, URL_PLAIN[0], true).replace("%20", "+"));
        for engine in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD] {
            forms.push(engine.encode(text));
            // As the end of what `echo` pipes into base64.
            forms.push(engine.encode(format!("{text}\n")));
        }
    }
    forms.retain(|form| form.len() >= SHORTEST);
    forms
}

/// What else than letters and digits stays as it is: by RFC 3986, with a path's slashes, and as JavaScript's
/// `encodeURIComponent` and `encodeURI` do it.
const URL_PLAIN: [&[u8]; 4] = [b"-._~", b"-._~/", b"-._~!*'()", b"-._~!*'();,/?:@&=+$#"];

/// With every character that is not ASCII escaped.
fn json_ascii(text: &str) -> String {
    let json = Value::from(text).to_string();
    let mut escaped = String::with_capacity(json.len());
    for letter in json[1..json.len() - 1].chars() {
        match letter.is_ascii() {
            true => escaped.push(letter),
            false => letter
                .encode_utf16(&mut [0; 2])
                .iter()
                .for_each(|unit| escaped.push_str(&format!("\\u{unit:04x}"))),
        }
    }
    escaped
}

fn percent_encoded(text: &str, plain: &[u8], upper: bool) -> String {
    text.bytes()
        .map(|byte| match byte {
            byte if byte.is_ascii_alphanumeric() || plain.contains(&byte) => char::from(byte).to_string(),
            byte if upper => format!("%{byte:02X}"),
            byte => format!("%{byte:02x}"),
        })
        .collect()
}

fn shell_escaped(text: &str) -> String {
    let plain =
        |letter: char| letter.is_ascii_alphanumeric() || "_-./:@%+=,".contains(letter) || !letter.is_ascii();
    let escaped =
        text.chars().map(|letter| if plain(letter) { letter.to_string() } else { format!("\\{letter}") });
    escaped.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn given(value: &str) -> Given {
        let mut given = Given::default();
        given.add("db/password", value.to_owned());
        given
    }

    #[test]
    fn every_form_of_a_value_is_masked() {
        let value = "p@ss 'w\"ord$1";
        let forms = [
            value.to_owned(),
            json!(value).to_string(),
            STANDARD.encode(value),
            URL_SAFE_NO_PAD.encode(value),
            "p%40ss%20%27w%22ord%241".to_owned(),
            "p%40ss+%27w%22ord%241".to_owned(),
            "p%40ss%20'w%22ord%241".to_owned(),
            "p@ss%20'w%22ord$1".to_owned(),
            "'p@ss '\\''w\"ord$1'".to_owned(),
            "p@ss\\ \\'w\\\"ord\\$1".to_owned(),
        ];
        for form in forms {
            let clean = given(value).scrub(&format!("before {form} after"));
            assert!(!clean.contains("ord"), "{form} left {clean}");
            assert!(clean.starts_with("before ") && clean.ends_with(" after"), "{clean}");
        }
    }

    #[test]
    fn letters_that_json_and_urls_escape_are_known_in_each_way() {
        for form in ["é/ü-secret", "\\u00e9/\\u00fc-secret", "%C3%A9/%C3%BC-secret", "%c3%a9%2f%c3%bc-secret"]
        {
            assert_eq!(given("é/ü-secret").scrub(form), "***", "{form}");
        }
    }

    #[test]
    fn values_are_masked_wherever_they_stand_in_json() {
        let clean =
            given("123456789").scrub_value(json!({"a": ["x 123456789"], "123456789": 123456789, "n": 1}));
        assert_eq!(clean, json!({"a": ["x ***"], "***": "***", "n": 1}));
    }

    #[test]
    fn each_line_of_a_long_secret_is_one() {
        let key = "-----BEGIN KEY-----\nMIIabcdefgh\nijklmnopqrs\n-----END KEY-----";
        assert_eq!(given(key).scrub("saw ijklmnopqrs"), "saw ***");
    }
}
