//! Who one signs in as, from the command line, the environment and the terminal.

use std::fmt;
use std::io::{self, IsTerminal};

use clap::Args;
use serde_json::json;

const PASSWORD: &str = "FLOW_PASSWORD";
const EMAIL: &str = "FLOW_EMAIL";
const URL: &str = "FLOW_URL";

/// How to reach a service, and as whom.
#[derive(Args, Debug)]
pub struct SignIn {
    /// Where the service is
    #[arg(long, value_name = "URL", default_value_t = nearest())]
    pub server: String,
    /// A name to be known by; with a password the account of that name
    #[arg(long, value_name = "NAME", conflicts_with = "email")]
    name: Option<String>,
    /// The e-mail address of an account
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// Ask for the password of --name
    #[arg(long, requires = "name")]
    password: bool,
}

/// What is sent to sign in. It cannot be printed.
#[derive(Clone)]
pub struct Credentials(serde_json::Value);

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

impl SignIn {
    /// Asks for a password where one is needed and none is in the environment.
    pub fn credentials(&self) -> io::Result<Credentials> {
        let given = std::env::var(PASSWORD).ok();
        let known = std::env::var(EMAIL).ok().filter(|email| !email.is_empty());
        let email = self.email.clone().or(known.filter(|_| self.name.is_none()));
        Ok(Credentials(match (&email, &self.name) {
            (Some(email), _) => json!({"email": email, "password": given.map_or_else(ask, Ok)?}),
            (None, Some(name)) if self.password || given.is_some() => {
                json!({"username": name, "password": given.map_or_else(ask, Ok)?})
            }
            (None, Some(name)) => json!({"username": name}),
            (None, None) => json!({}),
        }))
    }
}

impl Credentials {
    pub(super) fn body(&self) -> String {
        self.0.to_string()
    }
}

fn nearest() -> String {
    std::env::var(URL)
        .ok()
        .filter(|url| !url.is_empty())
        .unwrap_or_else(|| "http://127.0.0.1:8080".to_owned())
}

/// Without showing what is typed.
fn ask() -> io::Result<String> {
    if !io::stderr().is_terminal() {
        let sentence = format!("a password is needed and nobody can be asked: set {PASSWORD}");
        return Err(io::Error::other(sentence));
    }
    rpassword::prompt_password("Password: ")
}
