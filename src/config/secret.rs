//! Text that must not reach a log, an answer or a panic message.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::Deserialize;

/// Printing it, in whatever way, prints `***`; only [`Secret::expose`] gives the text.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, at the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Thirty-two bytes that encrypt things at rest.
#[derive(Clone, PartialEq, Eq)]
pub struct StateKey([u8; 32]);

impl StateKey {
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// From 64 hexadecimal digits or base64 with or without padding.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let digits = text.as_bytes().chunks_exact(2).map(|pair| std::str::from_utf8(pair).ok());
            let bytes: Option<Vec<u8>> = digits.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect();
            return bytes?.try_into().ok().map(Self);
        }
        STANDARD_NO_PAD.decode(text.trim_end_matches('=')).ok()?.try_into().ok().map(Self)
    }
}

impl fmt::Debug for StateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What may be shown of a secret setting: that it is set, and of an address all but the credentials, since "which
/// database is this?" is what one asks of a broken start.
pub(super) fn mask(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let Some((scheme, rest)) = text.split_once("://") else { return "***".into() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    // A password with a raw `/`, `?` or `#` in it would end the authority early and show in what follows.
    if tail.contains('@') {
        return format!("{scheme}://***");
    }
    let host = authority.rsplit_once('@').map_or(authority.to_owned(), |(_, host)| format!("***@{host}"));
    // Parameters can hold a password too.
    let path = tail.split_once(['?', '#']).map_or(tail.to_owned(), |(path, _)| format!("{path}?***"));
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printing_a_secret_in_any_way_hides_it() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?} {:?}", Some(&secret)), "*** *** Some(***)");
    }

    #[test]
    fn a_state_key_is_32_bytes_in_hexadecimal_or_base64() {
        let hex = StateKey::parse(&"0a".repeat(32)).expect("hexadecimal");
        let base64 = StateKey::parse("CgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgo=").expect("base64");
        assert!(hex == base64 && hex.bytes() == &[10; 32]);
        assert!(StateKey::parse("too short").is_none() && StateKey::parse(&"é".repeat(32)).is_none());
    }

    #[test]
    fn of_an_address_only_credentials_are_hidden() {
        assert_eq!(mask("postgres://bob:pa55@db:5432/flows"), "postgres://***@db:5432/flows");
        assert_eq!(mask("postgres://db/flows?password=pa55"), "postgres://db/flows?***");
        assert_eq!(mask("redis://cache:6379/0"), "redis://cache:6379/0");
        assert_eq!(mask("host=db password=pa55"), "***");
        assert_eq!(mask(""), "");
    }

    #[test]
    fn an_address_with_an_unescaped_password_is_hidden_whole() {
        for url in ["postgres://bob:p/a55@db/flows", "postgres://bob:p?a55@db/flows", "amqp://b:p#a55@q"] {
            assert!(!mask(url).contains("a55"), "{}", mask(url));
        }
    }
}
