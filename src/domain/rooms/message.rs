//! A message, whoever wrote it, and what may be written.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::RoomName;
use crate::users::{Role, Verified};
use crate::{Error, Fault, Result, UserId};

/// In characters.
pub const MAX_TEXT: usize = 4000;

/// Something said in a room.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Message {
    /// Its number in the room: later ones are higher, and a deleted one leaves a gap.
    #[schemars(range(min = 1))]
    pub id: i64,
    pub room: RoomName,
    pub from: Person,
    pub text: String,
    pub at: Timestamp,
}

/// Someone in a room.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Person {
    pub id: UserId,
    /// The username; whoever has none is named after the id.
    pub name: String,
    pub kind: PersonKind,
}

/// How someone signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PersonKind {
    /// Without a name.
    Anonymous,
    /// With a name and no account.
    Temporary,
    /// With an account.
    Registered,
    /// Not a person: the service, which tells what happens to a lab.
    System,
}

impl PersonKind {
    pub const ALL: [Self; 4] = [Self::Anonymous, Self::Temporary, Self::Registered, Self::System];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Temporary => "temporary",
            Self::Registered => "registered",
            Self::System => "system",
        }
    }

    /// Reads a stored name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl Person {
    /// Whom a token speaks of.
    pub fn of(verified: &Verified) -> Self {
        let kind = match (verified.caller.role, &verified.username) {
            (Role::Anonymous, None) => PersonKind::Anonymous,
            (Role::Anonymous, Some(_)) => PersonKind::Temporary,
            _ => PersonKind::Registered,
        };
        let id = verified.caller.id;
        // The end of the id is random, its beginning a time.
        let unnamed = || {
            let id = id.to_string();
            let word = if kind == PersonKind::Anonymous { "anonymous" } else { "user" };
            format!("{word}-{}", &id[id.len() - 8..])
        };
        Self { id, name: verified.username.clone().unwrap_or_else(unnamed), kind }
    }
}

/// A text that may be said: 1 to 4,000 characters, not all of them blank, none of which moves a terminal's cursor
/// or turns the direction of what is around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(String);

impl Text {
    /// Anything else is `Invalid`, with the fault at `/text`.
    pub fn parse(text: &str) -> Result<Self> {
        let fault = if text.trim().is_empty() {
            Fault::new("/text", "message.empty", "A message says something.")
        } else if text.chars().count() > MAX_TEXT {
            Fault::new("/text", "message.too_long", format!("A message has at most {MAX_TEXT} characters."))
        } else if text.chars().any(disturbs) {
            Fault::new(
                "/text",
                "message.control_character",
                "A message is one line without control characters.",
            )
        } else {
            return Ok(Self(text.to_owned()));
        };
        Err(Error::invalid("message.invalid", "The message cannot be posted.", vec![fault]))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Control characters, other ends of lines, and those that turn the direction of text.
fn disturbs(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::users::Caller;

    fn person(role: Role, username: Option<&str>) -> Person {
        Person::of(&Verified {
            caller: Caller { id: UserId::new(), role },
            username: username.map(str::to_owned),
            jti: String::new(),
            stamp: Default::default(),
            expires_at: Timestamp::UNIX_EPOCH,
        })
    }

    #[test]
    fn a_person_is_what_they_signed_in_as() {
        let ann = person(Role::Anonymous, Some("ann"));
        assert_eq!((ann.name.as_str(), ann.kind), ("ann", PersonKind::Temporary));
        let bob = person(Role::Learner, Some("bob"));
        assert_eq!((bob.name.as_str(), bob.kind), ("bob", PersonKind::Registered));
        let nobody = person(Role::Anonymous, None);
        assert_eq!(nobody.kind, PersonKind::Anonymous);
        assert!(nobody.name.starts_with("anonymous-") && nobody.name.len() == 18, "{}", nobody.name);
        assert!(person(Role::Operator, None).name.starts_with("user-"));
    }

    #[test]
    fn a_text_is_one_line_that_says_something() {
        for good in ["hi", " a ", "ünïcødé 🎉 שלום", &"é".repeat(MAX_TEXT)] {
            assert_eq!(Text::parse(good).unwrap().as_str(), good);
        }
        let long = "x".repeat(MAX_TEXT + 1);
        for (bad, code) in [
            ("", "message.empty"),
            ("  \u{3000}", "message.empty"),
            (long.as_str(), "message.too_long"),
            ("a\nb", "message.control_character"),
            ("\u{1b}[2J", "message.control_character"),
            ("a\u{9b}b", "message.control_character"),
            ("\u{202e}abc", "message.control_character"),
        ] {
            let error = Text::parse(bad).unwrap_err();
            assert_eq!((error.faults[0].code.as_str(), error.faults[0].pointer.as_str()), (code, "/text"));
        }
    }
}
