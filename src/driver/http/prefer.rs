//! The header `Prefer` (RFC 7240): how long a caller wants to wait.

use std::convert::Infallible;

use rocket::request::{FromRequest, Outcome, Request};

/// No answer waits longer, in seconds.
pub const MAX_WAIT_S: u64 = 300;
/// What those wait who say nothing, in seconds.
pub const DEFAULT_WAIT_S: u64 = 30;

/// What the caller prefers. A preference that makes no sense is as if it were not there: the RFC forbids to refuse
/// a request for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prefer {
    wait_s: Option<u64>,
    respond_async: bool,
}

impl Prefer {
    /// How long to wait when the caller says nothing is `default_s`. `respond-async` alone means not at all; with a
    /// `wait` beside it, that long.
    pub fn wait_s(&self, default_s: u64) -> u64 {
        self.wait_s.unwrap_or(if self.respond_async { 0 } else { default_s })
    }

    /// For the answer's `Preference-Applied`.
    pub fn applied(&self, default_s: u64) -> String {
        match (self.respond_async, self.wait_s) {
            (true, None) => "respond-async".into(),
            (true, Some(wait_s)) => format!("respond-async, wait={wait_s}"),
            (false, _) => format!("wait={}", self.wait_s(default_s)),
        }
    }

    /// Of two preferences of one name the first counts (RFC 7240, section 2).
    fn read<'a>(headers: impl Iterator<Item = &'a str>) -> Self {
        let mut prefer = Self::default();
        let mut wait_seen = false;
        for preference in headers.flat_map(|header| header.split(',')) {
            // What follows a semicolon are the preference's parameters; ours have none.
            let preference = preference.split(';').next().unwrap_or_default();
            let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
            let (name, value) = (name.trim(), value.trim().trim_matches('"'));
            if name.eq_ignore_ascii_case("respond-async") {
                prefer.respond_async = true;
            } else if name.eq_ignore_ascii_case("wait") && !wait_seen {
                wait_seen = true;
                prefer.wait_s = seconds(value);
            }
        }
        prefer
    }
}

/// Digits only: `u64` would read a plus sign too. A number beyond 64 bits is as good as the maximum.
fn seconds(value: &str) -> Option<u64> {
    (!value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| value.parse().unwrap_or(MAX_WAIT_S).min(MAX_WAIT_S))
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Prefer {
    type Error = Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Infallible> {
        Outcome::Success(Self::read(request.headers().get("Prefer")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[&str]) -> (u64, String) {
        let prefer = Prefer::read(headers.iter().copied());
        (prefer.wait_s(DEFAULT_WAIT_S), prefer.applied(DEFAULT_WAIT_S))
    }

    #[test]
    fn the_wait_is_what_was_asked_within_its_bounds() {
        assert_eq!(read(&[]), (30, "wait=30".into()));
        assert_eq!(read(&["wait=0"]), (0, "wait=0".into()));
        assert_eq!(read(&["Wait = \"10\""]), (10, "wait=10".into()));
        assert_eq!(read(&["wait=301"]), (300, "wait=300".into()));
        assert_eq!(read(&["wait=99999999999999999999999"]), (300, "wait=300".into()));
        assert_eq!(read(&["return=minimal", "handling=strict, wait=5; x=y"]), (5, "wait=5".into()));
    }

    #[test]
    fn respond_async_waits_only_when_told_how_long() {
        assert_eq!(read(&["respond-async"]), (0, "respond-async".into()));
        assert_eq!(read(&["respond-async, wait=7"]), (7, "respond-async, wait=7".into()));
    }

    #[test]
    fn nonsense_is_ignored_and_the_first_of_two_counts() {
        for nonsense in ["wait", "wait=", "wait=-1", "wait=+1", "wait=1.5", "wait=soon", "await=9", "", ",,;"]
        {
            assert_eq!(read(&[nonsense]).0, 30, "{nonsense:?}");
        }
        assert_eq!(read(&["wait=1, wait=2"]).0, 1);
    }
}
