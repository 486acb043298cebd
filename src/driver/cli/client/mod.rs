//! Commands that call a service, here or elsewhere, as anyone would by HTTP.

mod ask;
mod run;

use std::fs;
use std::io::{self, Read};
use std::process::ExitCode;

use serde_json::Value;

use super::remote::{Failure, Remote, SignIn};
use super::{AWAY, MISUSED, complain, in_a_small_runtime};
pub use ask::{CancelRun, PlanFlow, Runs, Why, cancel, plan, runs, why};
pub use run::{RunFlow, run};

/// Why a command did not do what it should.
pub(super) enum Trouble {
    Failed(Failure),
    Misused(String),
    Otherwise(String),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// What every such command is run by: the exit status says how it ended.
pub(super) fn client(work: impl Future<Output = Result<ExitCode, Trouble>>) -> ExitCode {
    match in_a_small_runtime(async { Ok(work.await) }) {
        Ok(Ok(code)) => code,
        Ok(Err(Trouble::Failed(failure))) => {
            complain(&failure);
            match failure {
                Failure::Away(_) => ExitCode::from(AWAY),
                Failure::Refused { code, .. } => {
                    if code == "auth.role_too_low" {
                        complain(&"sign in with --email, or FLOW_EMAIL and FLOW_PASSWORD in the environment");
                    }
                    ExitCode::FAILURE
                }
            }
        }
        Ok(Err(Trouble::Misused(sentence))) => {
            complain(&sentence);
            ExitCode::from(MISUSED)
        }
        Ok(Err(Trouble::Otherwise(sentence))) | Err(sentence) => {
            complain(&sentence);
            ExitCode::FAILURE
        }
    }
}

pub(super) async fn signed_in(sign_in: &SignIn) -> Result<Remote, Trouble> {
    let credentials = sign_in.credentials().map_err(|error| Trouble::Misused(error.to_string()))?;
    Ok(Remote::sign_in(&sign_in.server, credentials).await?)
}

/// A run's id, so that nothing else becomes part of a path.
pub(super) fn run_path(text: &str) -> Result<String, Trouble> {
    let run = flow_domain::RunId::parse(text);
    let run = run.ok_or_else(|| Trouble::Misused(format!("{text} is no run's id")))?;
    Ok(format!("/flow-manager/runs/{run}"))
}

/// `NAME`, or a definition as `@FILE` and `@-`.
fn flow_given(text: &str) -> Result<Value, Trouble> {
    match text.strip_prefix('@') {
        None => Ok(Value::String(text.to_owned())),
        Some(file) => json_of(&read(file)?, "the definition"),
    }
}

/// JSON, or a file of it as `@FILE` and `@-`.
fn input_given(text: &str) -> Result<Value, Trouble> {
    match text.strip_prefix('@') {
        None => json_of(text, "the input"),
        Some(file) => json_of(&read(file)?, "the input"),
    }
}

fn read(file: &str) -> Result<String, Trouble> {
    let mut text = String::new();
    let read = match file {
        "-" => io::stdin().read_to_string(&mut text).map(|_| text),
        file => fs::read_to_string(file),
    };
    read.map_err(|error| Trouble::Misused(format!("{file} cannot be read ({error})")))
}

fn json_of(text: &str, what: &str) -> Result<Value, Trouble> {
    serde_json::from_str(text).map_err(|error| Trouble::Misused(format!("{what} is not JSON: {error}")))
}
