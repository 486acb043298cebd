//! One error for the whole domain: a kind, a stable code, a sentence for the caller and a cause for the log.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as far as a caller is concerned. The HTTP driver maps it to a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Not what it claims to be: not JSON, an unreadable query parameter (400).
    Malformed,
    /// Nobody we know (401).
    Unauthenticated,
    /// Known, but not allowed (403).
    Forbidden,
    /// Unknown, or another's (404).
    NotFound,
    /// The state forbids it (409).
    Conflict,
    /// Well-formed, but it does not fit (422).
    Invalid,
    /// Too large (413).
    TooLarge,
    /// Too many, try again later (429).
    TooMany,
    /// A part we need is away; trying again later may work (503).
    Unavailable,
    /// Our fault (500).
    Internal,
}

/// One fault of a request: where, which, and in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fault {
    /// JSON pointer into the request's body, `""` for the whole.
    pub pointer: String,
    /// Stable, for programs.
    pub code: String,
    /// For people.
    pub detail: String,
}

impl Fault {
    pub fn new(pointer: impl Into<String>, code: &str, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), code: code.into(), detail: detail.into() }
    }
}

/// `public` may be shown to any caller; `cause` only ever goes to the log.
#[derive(Clone, Debug)]
pub struct Error {
    pub kind: Kind,
    pub code: &'static str,
    pub public: String,
    pub cause: Option<String>,
    pub faults: Vec<Fault>,
    pub retry_after_s: Option<u64>,
}

impl Error {
    pub fn new(kind: Kind, code: &'static str, public: impl Into<String>) -> Self {
        Self { kind, code, public: public.into(), cause: None, faults: Vec::new(), retry_after_s: None }
    }

    /// A request that does not fit, with every fault found in it.
    pub fn invalid(code: &'static str, public: impl Into<String>, faults: Vec<Fault>) -> Self {
        Self { faults, ..Self::new(Kind::Invalid, code, public) }
    }

    pub fn not_found(code: &'static str, public: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, code, public)
    }

    pub fn conflict(code: &'static str, public: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, code, public)
    }

    pub fn forbidden(code: &'static str, public: impl Into<String>) -> Self {
        Self::new(Kind::Forbidden, code, public)
    }

    /// A part is away. The caller is told to come back in two seconds: longer than a fail-over of the pool,
    /// shorter than anyone's patience.
    pub fn unavailable(code: &'static str, public: impl Into<String>) -> Self {
        Self { retry_after_s: Some(2), ..Self::new(Kind::Unavailable, code, public) }
    }

    /// Our fault: the caller learns nothing but that.
    pub fn internal(cause: impl fmt::Display) -> Self {
        Self::new(
            Kind::Internal,
            "internal",
            "Something went wrong on our side; the request's id is in the log.",
        )
        .because(cause)
    }

    /// Adds the cause, for the log.
    pub fn because(mut self, cause: impl fmt::Display) -> Self {
        self.cause = Some(cause.to_string());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.public)?;
        if let Some(cause) = &self.cause {
            write!(f, " ({cause})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}
