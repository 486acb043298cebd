//! Calls to a Vault.

use std::time::Duration;

use flow_domain::{Error, Result};
use reqwest::header::HeaderValue;
use reqwest::{Client, RequestBuilder, Url, redirect};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::VaultOptions;
use super::token::Token;
use crate::driven::tls;

const CALL: Duration = Duration::from_secs(10);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A secret is small.
const MOST_BYTES: usize = 1 << 20;

pub(super) struct Wire {
    client: Client,
    base: Url,
    namespace: Option<HeaderValue>,
}

pub(super) struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

#[derive(Deserialize)]
struct Errors {
    #[serde(default)]
    errors: Vec<String>,
}

impl Answer {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }

    /// What it says of itself, for the log.
    pub fn errors(&self) -> String {
        let errors = self.json::<Errors>().map(|errors| errors.errors.join("; ")).unwrap_or_default();
        format!("{}: {}", self.status, errors.chars().take(300).collect::<String>())
    }
}

impl Wire {
    pub fn new(options: &VaultOptions) -> std::result::Result<Self, String> {
        let mut base = tls::address("secrets.url", &options.url)?;
        base.set_path("/v1/");
        let mut client = Client::builder()
            .user_agent(concat!("flow-manager/", env!("CARGO_PKG_VERSION")))
            .timeout(CALL)
            // A standby may send us elsewhere, and the token would go along.
            .redirect(redirect::Policy::none())
            .no_proxy();
        if let Some(file) = &options.ca_file {
            client = tls::trusting(client, "secrets.ca_file", file)?;
        }
        let client = client.build().map_err(|error| format!("The Vault cannot be called: {error}."))?;
        let namespace = options.namespace.as_deref().map(HeaderValue::from_str).transpose();
        let namespace = namespace.map_err(|_| "secrets.namespace cannot be sent.".to_owned())?;
        Ok(Self { client, base, namespace })
    }

    pub async fn get(&self, path: &str, token: Option<&Token>) -> Result<Answer> {
        self.send(self.client.get(self.url(path)?), token).await
    }

    pub async fn post(&self, path: &str, token: Option<&Token>, body: &Value) -> Result<Answer> {
        let body = if body.is_null() { "{}".to_owned() } else { body.to_string() };
        self.send(self.client.post(self.url(path)?).body(body), token).await
    }

    fn url(&self, path: &str) -> Result<Url> {
        self.base.join(path).map_err(Error::internal)
    }

    /// How the Vault is, which is nothing of a namespace's: asked in one it is refused.
    pub async fn health(&self) -> Result<Answer> {
        answer(self.client.get(self.url("sys/health?standbyok=true")?)).await
    }

    async fn send(&self, mut request: RequestBuilder, token: Option<&Token>) -> Result<Answer> {
        if let Some(token) = token {
            let mut value = HeaderValue::from_str(&token.text).map_err(|_| away(&"its token"))?;
            value.set_sensitive(true);
            request = request.header("X-Vault-Token", value);
        }
        if let Some(namespace) = &self.namespace {
            request = request.header("X-Vault-Namespace", namespace);
        }
        answer(request).await
    }
}

async fn answer(request: RequestBuilder) -> Result<Answer> {
    let sent = request.send().await;
    let mut response = sent.map_err(|error| tls::unreached(&error.without_url(), "The Vault's", away))?;
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| away(&error.without_url()))? {
        body.extend_from_slice(&chunk);
        if body.len() > MOST_BYTES {
            return Err(away(&"its answer is too long"));
        }
    }
    Ok(Answer { status, body })
}

fn away(cause: &dyn std::fmt::Display) -> Error {
    Error::unavailable("secret.unavailable", "The Vault cannot be reached at the moment.").because(cause)
}
