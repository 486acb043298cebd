//! Why a part of the service could not be started.

use std::fmt;

/// A sentence for the operator, and what the system said. It may name paths: it goes to the terminal and the log,
/// never into an answer.
#[derive(Clone, Debug)]
pub struct StartError {
    pub sentence: String,
    pub cause: Option<String>,
}

impl StartError {
    pub fn new(sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), cause: None }
    }

    pub fn because(mut self, cause: impl fmt::Display) -> Self {
        self.cause = Some(cause.to_string());
        self
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)?;
        match self.cause.as_deref().map(str::trim) {
            Some(cause) if !cause.is_empty() => write!(f, " ({cause})"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for StartError {}
