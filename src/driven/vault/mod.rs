//! Secrets from a Vault, or an OpenBao: KV version 2, read with a token of an AppRole.
//!
//! The token is got when the first secret is asked for, renewed at about two thirds of its lease, and revoked when the
//! service ends. API: <https://developer.hashicorp.com/vault/api-docs>.

mod token;
mod wire;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use backon::{BackoffBuilder, ExponentialBuilder};
use flow_domain::flows::secret::Secrets;
use flow_domain::{Error, Kind, Result};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{Mutex, Notify};
use tokio::time::Instant;

use token::Token;
use wire::{Answer, Wire};

/// A secret is named by its path, and by the field of it after a `#`.
const FIELD: &str = "value";
/// A service that ends does not wait long for a Vault.
const LAST_WORD: Duration = Duration::from_secs(3);

#[derive(Clone, Debug)]
pub struct VaultOptions {
    /// `https://vault.example.org:8200`.
    pub url: String,
    /// Where the KV version 2 engine is mounted.
    pub mount: String,
    pub namespace: Option<String>,
    pub role_id: String,
    pub secret_id: String,
    /// PEM of the authority that signed its certificate, if the system does not know it.
    pub ca_file: Option<PathBuf>,
    /// How long one that is sealed or away is asked again for.
    pub wait: Duration,
}

pub struct Vault {
    wire: Wire,
    options: VaultOptions,
    token: Mutex<Option<Arc<Token>>>,
    /// There is another token, which is to be renewed in its time.
    changed: Notify,
}

#[derive(Deserialize)]
struct Secret {
    data: Option<SecretData>,
}

#[derive(Deserialize)]
struct SecretData {
    data: Option<serde_json::Map<String, Value>>,
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    version: u64,
    #[serde(default)]
    destroyed: bool,
}

impl Vault {
    /// Calls nobody yet. The error is a sentence.
    pub fn new(options: VaultOptions) -> std::result::Result<Arc<Self>, String> {
        let wire = Wire::new(&options)?;
        Ok(Arc::new(Self { wire, options, token: Mutex::default(), changed: Notify::new() }))
    }

    /// Keeps the token alive for as long as it is polled.
    pub async fn keep(self: Arc<Self>) {
        loop {
            let due = self.token.lock().await.as_ref().map(|token| token.renew_at);
            match due {
                None => self.changed.notified().await,
                Some(due) => tokio::select! {
                    () = self.changed.notified() => {}
                    () = tokio::time::sleep_until(due) => self.renew().await,
                },
            }
        }
    }

    /// Revokes the token: the service ends.
    pub async fn end(&self) {
        let Some(token) = self.token.lock().await.take() else { return };
        let revoking = self.wire.post("auth/token/revoke-self", Some(&token), &Value::Null);
        match tokio::time::timeout(LAST_WORD, revoking).await {
            Ok(Ok(answer)) if answer.is_success() => log::info!("the token of the Vault is revoked"),
            _ => log::warn!("the token of the Vault could not be revoked; it ends with its lease"),
        }
    }

    /// Whether it answers, is not sealed, and lets us in.
    pub async fn check(&self) -> Result<()> {
        let health = self.wire.health().await?;
        match health.status {
            200 | 429 | 472 | 473 => {}
            503 => return Err(away("The Vault is sealed.", &"503")),
            501 => return Err(away("The Vault is not initialized.", &"501")),
            status => return Err(away("The Vault is not well.", &status)),
        }
        let token = self.token(None).await?;
        let looked = self.wire.get("auth/token/lookup-self", Some(&token)).await?;
        match looked.status {
            200 => Ok(()),
            403 => self.token(Some(&token)).await.map(drop),
            status => Err(away("The Vault does not answer for its token.", &status)),
        }
    }

    /// The token, got now if there is none, or if it is the one that was refused.
    async fn token(&self, refused: Option<&Arc<Token>>) -> Result<Arc<Token>> {
        // Held while asking: whoever comes meanwhile waits for the one answer.
        let mut token = self.token.lock().await;
        match &*token {
            Some(known) if refused.is_none_or(|refused| !Arc::ptr_eq(refused, known)) => {
                return Ok(known.clone());
            }
            _ => {}
        }
        let new = Arc::new(self.login().await?);
        *token = Some(new.clone());
        self.changed.notify_one();
        Ok(new)
    }

    async fn ask_login(&self) -> Result<Answer> {
        let VaultOptions { role_id, secret_id, .. } = &self.options;
        let body = json!({"role_id": role_id, "secret_id": secret_id});
        self.wire.post("auth/approle/login", None, &body).await
    }

    async fn login(&self) -> Result<Token> {
        let answer = self.ask_login().await?;
        match answer.status {
            200 => Token::read(&answer).ok_or_else(|| away("The Vault gave no token.", &"unreadable")),
            // A refused login is refused again, and each try may be counted.
            400 | 401 | 403 | 404 => Err(Error::new(
                Kind::Invalid,
                "secret.login_refused",
                "The Vault does not let this service in: its role_id or secret_id is wrong or used up.",
            )
            .because(answer.errors())),
            status => Err(away("The Vault cannot be logged in to at the moment.", &status)),
        }
    }

    /// A token that cannot be renewed, or not for long, is replaced.
    async fn renew(&self) {
        let Some(token) = self.token.lock().await.clone() else { return };
        let mut pauses = pauses().build();
        loop {
            let renewed = match token.renewable {
                true => self.wire.post("auth/token/renew-self", Some(&token), &Value::Null).await,
                false => self.ask_login().await,
            };
            match renewed {
                Ok(answer) if answer.is_success() => {
                    let new = if token.renewable { token.renewed(&answer) } else { Token::read(&answer) };
                    match new {
                        Some(new) => return self.put(Some(new), &token).await,
                        None => break,
                    }
                }
                Ok(answer) if (400..500).contains(&answer.status) && answer.status != 429 => break,
                _ => {}
            }
            let pause = pauses.next().unwrap_or(wire::LONGEST_PAUSE);
            if Instant::now() + pause >= token.ends_at {
                break;
            }
            tokio::time::sleep(pause).await;
        }
        // Past its longest life, or not renewed in its time: a new one. Without it the next secret asks for one.
        let new = self.login().await;
        let told = |error: &Error| log::warn!("the token of the Vault has ended: {error}");
        self.put(new.inspect_err(told).ok(), &token).await;
    }

    /// In place of the old one, unless somebody was quicker.
    async fn put(&self, new: Option<Token>, old: &Arc<Token>) {
        let mut token = self.token.lock().await;
        if token.as_ref().is_some_and(|known| Arc::ptr_eq(known, old)) {
            *token = new.map(Arc::new);
        }
    }

    async fn ask(&self, path: &str, field: &str, version: Option<&str>) -> Result<(String, String)> {
        let mut address = format!("{}/data/{path}", self.options.mount);
        if let Some(version) = version {
            address.push_str(&format!("?version={version}"));
        }
        let mut token = self.token(None).await?;
        let mut answer = self.wire.get(&address, Some(&token)).await?;
        if answer.status == 403 {
            // The token may have been revoked, or its lease be over: one fresh login, and no loop.
            let refused = token;
            token = self.token(Some(&refused)).await?;
            answer = self.wire.get(&address, Some(&token)).await?;
            // If it was good and only this secret is not for us, it is not left behind.
            if refused.text != token.text {
                let _ = self.wire.post("auth/token/revoke-self", Some(&refused), &Value::Null).await;
            }
        }
        match answer.status {
            200 => value(&answer, path, field),
            404 => Err(missing(&answer, path)),
            403 => {
                let public = format!("The Vault does not give the secret {path:?} to this service.");
                Err(Error::forbidden("secret.forbidden", public))
            }
            400 => Err(unknown(path).because(answer.errors())),
            status => Err(away("Secrets cannot be read at the moment.", &status)),
        }
    }
}

#[async_trait]
impl Secrets for Vault {
    /// `path#field`; without a field, `value`. One that is sealed or away is asked again for a while.
    async fn resolve(&self, path: &str, version: Option<&str>) -> Result<(String, String)> {
        let (path, field) = path.split_once('#').unwrap_or((path, FIELD));
        let safe = |part: &str| !part.is_empty() && part != "." && part != "..";
        if !path.split('/').all(safe) || version.is_some_and(|number| number.parse::<u64>().is_err()) {
            return Err(unknown(path));
        }
        let deadline = Instant::now() + self.options.wait;
        let mut pauses = pauses().build();
        loop {
            match self.ask(path, field, version).await {
                Err(error) if error.kind == Kind::Unavailable => {
                    let pause = pauses.next().unwrap_or(wire::LONGEST_PAUSE);
                    if Instant::now() + pause >= deadline {
                        return Err(error);
                    }
                    log::warn!("the Vault is asked again in {pause:?}: {error}");
                    tokio::time::sleep(pause).await;
                }
                other => return other,
            }
        }
    }
}

fn pauses() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(200))
        .with_max_delay(wire::LONGEST_PAUSE)
        .with_jitter()
        .without_max_times()
}

fn value(answer: &Answer, path: &str, field: &str) -> Result<(String, String)> {
    let data = answer.json::<Secret>().and_then(|secret| secret.data);
    let Some(SecretData { data: Some(fields), metadata: Some(metadata) }) = data else {
        return Err(away("The Vault's answer is none of KV version 2.", &"unreadable"));
    };
    let value = match fields.get(field) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => {
            let public = format!("The secret {path:?} has no text called {field:?}.");
            return Err(Error::new(Kind::NotFound, "secret.no_field", public));
        }
    };
    Ok((value, metadata.version.to_string()))
}

/// A version that was deleted is told from a path that never was: its metadata is there.
fn missing(answer: &Answer, path: &str) -> Error {
    match answer.json::<Secret>().and_then(|secret| secret.data?.metadata) {
        Some(metadata) => {
            let how = if metadata.destroyed { "destroyed" } else { "deleted" };
            let public = format!("Version {} of the secret {path:?} was {how}.", metadata.version);
            Error::new(Kind::NotFound, "secret.deleted", public)
        }
        None => unknown(path),
    }
}

fn unknown(path: &str) -> Error {
    Error::new(Kind::NotFound, "secret.unknown", format!("There is no secret {path:?}, or not this version."))
}

fn away(public: &str, cause: &dyn std::fmt::Display) -> Error {
    Error::unavailable("secret.unavailable", public).because(cause)
}
