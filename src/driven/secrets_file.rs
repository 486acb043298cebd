//! Secrets from a TOML file of the operator's: `"db/password" = "…"`, read again each time it changes; or, without one,
//! from the environment: `FLOW_SECRET_DB_PASSWORD`.

use std::path::PathBuf;

use async_trait::async_trait;
use flow_domain::flows::secret::Secrets;
use flow_domain::{Error, Kind, Result};
use sha2::{Digest, Sha256};
use toml::Table;

/// What the variables of secrets begin with.
const VARIABLE: &str = "FLOW_SECRET_";

/// Without a file the environment has them.
pub struct SecretsFile(pub Option<PathBuf>);

#[async_trait]
impl Secrets for SecretsFile {
    /// A file has no versions of its own: the value's hash, shortened so that it helps nobody to guess it, stands for
    /// one. A value that has changed since is gone.
    async fn resolve(&self, path: &str, version: Option<&str>) -> Result<(String, String)> {
        let Some(file) = &self.0 else {
            let value = std::env::var(variable(path)).map_err(|_| none(path))?;
            return known(path, value, version);
        };
        let text = tokio::fs::read_to_string(file).await.map_err(|error| away(&error))?;
        // The parser's message quotes the line, which is a secret.
        let table: Table = text.parse().map_err(|_| away(&"it is not TOML"))?;
        let value = table.get(path).and_then(|value| value.as_str()).ok_or_else(|| unknown(path))?;
        known(path, value.to_owned(), version)
    }
}

fn known(path: &str, value: String, version: Option<&str>) -> Result<(String, String)> {
    let now = format!("{:02x?}", &Sha256::digest(&value)[..2]);
    match version {
        Some(wanted) if wanted != now => Err(unknown(path)),
        _ => Ok((value, now)),
    }
}

/// `db/password` is `FLOW_SECRET_DB_PASSWORD`.
fn variable(path: &str) -> String {
    let letter =
        |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' };
    VARIABLE.chars().chain(path.chars().map(letter)).collect()
}

fn none(path: &str) -> Error {
    let public = format!("There is no secret {path:?}: set FLOW_SECRETS_URL, or {}.", variable(path));
    Error::new(Kind::NotFound, "secret.none", public)
}

fn unknown(path: &str) -> Error {
    Error::new(
        Kind::NotFound,
        "secret.unknown",
        format!("There is no secret {path:?}, or not this version of it."),
    )
}

fn away(cause: &dyn std::fmt::Display) -> Error {
    Error::unavailable("secret.unavailable", "Secrets cannot be read at the moment.").because(cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_secret_is_found_by_path_and_a_changed_one_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secrets.toml");
        std::fs::write(&file, "\"db/password\" = \"first-value\"\n").unwrap();
        let secrets = SecretsFile(Some(file.clone()));
        let (value, version) = secrets.resolve("db/password", None).await.unwrap();
        assert_eq!(value, "first-value");
        assert_eq!(secrets.resolve("db/password", Some(&version)).await.unwrap().0, "first-value");
        assert_eq!(secrets.resolve("db/other", None).await.unwrap_err().code, "secret.unknown");
        std::fs::write(&file, "\"db/password\" = \"second-value\"\n").unwrap();
        assert_eq!(secrets.resolve("db/password", Some(&version)).await.unwrap_err().code, "secret.unknown");
        std::fs::write(&file, "broken \"hunter22\"").unwrap();
        let broken = secrets.resolve("db/password", None).await.unwrap_err();
        assert!(!broken.to_string().contains("hunter22"), "{broken}");
    }

    #[tokio::test]
    async fn without_a_file_they_are_looked_for_in_the_environment() {
        assert_eq!(variable("db/pass-word#x"), "FLOW_SECRET_DB_PASS_WORD_X");
        assert_eq!(SecretsFile(None).resolve("a", None).await.unwrap_err().code, "secret.none");
    }
}
