//! What a room is called, and what its name says about who may enter.

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Error, Kind, Result, SessionId};

/// In characters, all of them ASCII.
const MAX_NAME: usize = 64;
const OF_A_LAB: &str = "lab.";
const OF_A_SESSION: &str = "session.";

/// 1 to 64 of ASCII letters, digits, `-`, `_` and `.`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct RoomName(Arc<str>);

/// Whose a room is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// Everyone's.
    Open,
    /// `lab.NAME`: of those with an open session in this lab.
    Lab(&'a str),
    /// `session.ID`: of the session's owner.
    Session(SessionId),
}

impl RoomName {
    /// A name that breaks the rules is `Malformed`, `room.name_invalid`.
    pub fn parse(name: &str) -> Result<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if !(1..=MAX_NAME).contains(&name.len()) || !name.bytes().all(plain) {
            return Err(invalid(
                "A room's name is 1 to 64 of the letters a-z and A-Z, digits, `-`, `_` and `.`.",
            ));
        }
        // Clients take such segments out of a path before they send it.
        if matches!(name, "." | "..") {
            return Err(invalid("A room's name is more than dots."));
        }
        if place(name).is_none() {
            return Err(invalid(
                "Names that begin with `lab.` and `session.` are `lab.NAME` and `session.ID`.",
            ));
        }
        Ok(Self(name.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn place(&self) -> Place<'_> {
        place(&self.0).unwrap_or(Place::Open)
    }

    /// The room of a session.
    pub fn of_session(session: SessionId) -> Self {
        Self(format!("{OF_A_SESSION}{session}").into())
    }
}

/// None for a name that looks like a lab's or a session's and is neither: another spelling must not be another room.
fn place(name: &str) -> Option<Place<'_>> {
    let begins =
        |prefix: &str| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    if begins(OF_A_LAB) {
        return name.strip_prefix(OF_A_LAB).filter(|lab| !lab.is_empty()).map(Place::Lab);
    }
    if begins(OF_A_SESSION) {
        let id = SessionId::parse(name.strip_prefix(OF_A_SESSION)?)?;
        return (RoomName::of_session(id).as_str() == name).then_some(Place::Session(id));
    }
    Some(Place::Open)
}

fn invalid(public: &str) -> Error {
    Error::new(Kind::Malformed, "room.name_invalid", public)
}

impl fmt::Display for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        for good in ["a", "lobby", "A-b_c.9", "...", "labs", "session", &"x".repeat(64)] {
            assert_eq!(
                RoomName::parse(good).map(|name| name.as_str().to_owned()).ok().as_deref(),
                Some(good)
            );
        }
        for bad in ["", ".", "..", "a b", "a/b", "é", "a\n", "a'b", "a%00", &"x".repeat(65)] {
            assert_eq!(RoomName::parse(bad).unwrap_err().code, "room.name_invalid", "{bad:?}");
        }
    }

    #[test]
    fn rooms_of_labs_and_sessions_have_one_spelling() {
        let id = SessionId::new();
        let name = RoomName::of_session(id);
        assert_eq!(RoomName::parse(name.as_str()).unwrap().place(), Place::Session(id));
        assert_eq!(RoomName::parse("lab.hello").unwrap().place(), Place::Lab("hello"));
        assert_eq!(RoomName::parse("lobby").unwrap().place(), Place::Open);
        let shouted = name.as_str().to_uppercase();
        for bad in ["lab.", "Lab.hello", "session.", "session.7", &shouted, "SESSION.7"] {
            assert_eq!(RoomName::parse(bad).unwrap_err().code, "room.name_invalid", "{bad}");
        }
    }
}
