//! Calls to a Proxmox VE API: <https://pve.proxmox.com/pve-docs/api-viewer/>.

use std::path::PathBuf;
use std::time::Duration;

use flow_domain::{Error, Kind, Result};
use hyper::ext::ReasonPhrase;
use reqwest::header::HeaderValue;
use reqwest::{Client, Method, Url, redirect};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::pin;
use crate::driven::tls;

const CALL: Duration = Duration::from_secs(15);
/// A cluster of thousands of machines is listed in less.
const MOST_BYTES: usize = 16 << 20;
/// Characters of a reason.
const MOST_SAID: usize = 300;

#[derive(Clone, Debug)]
pub struct ProxmoxOptions {
    /// `https://pve.example.org:8006`.
    pub url: String,
    /// `user@realm!name=uuid`.
    pub token: String,
    /// SHA-256 of the server's certificate: no other is taken, whoever signed it.
    pub fingerprint: Option<String>,
    /// PEM of the authority that signed it, if the system does not know it.
    pub ca_file: Option<PathBuf>,
}

pub(super) struct Wire {
    client: Client,
    base: Url,
    authorization: HeaderValue,
    /// The secret part of the token, which whoever answers might say again.
    secret: String,
}

/// An answer.
#[derive(Deserialize)]
pub(super) struct Data<T> {
    pub data: T,
    /// Of a page of a log: how many lines there are in all.
    pub total: Option<usize>,
    /// The server's time, by its header.
    #[serde(skip)]
    pub date: Option<String>,
}

impl Wire {
    /// Calls nobody yet. The error is a sentence.
    pub fn new(options: &ProxmoxOptions) -> std::result::Result<Self, String> {
        let mut base = tls::address("proxmox.url", &options.url)?;
        base.set_path("/api2/json/");
        let builder = Client::builder()
            .user_agent(concat!("flow-manager/", env!("CARGO_PKG_VERSION")))
            .timeout(CALL)
            .redirect(redirect::Policy::none())
            .no_proxy();
        let builder = match (&options.fingerprint, &options.ca_file) {
            (Some(_), Some(_)) => {
                return Err("Set one of proxmox.fingerprint and proxmox.ca_file, not both.".to_owned());
            }
            (Some(fingerprint), None) => builder.use_preconfigured_tls(pin::only(fingerprint)?),
            (None, Some(file)) => tls::trusting(builder, "proxmox.ca_file", file)?,
            (None, None) => builder,
        };
        let client = builder.build().map_err(|error| format!("Proxmox VE cannot be called: {error}."))?;
        let authorization = HeaderValue::from_str(&format!("PVEAPIToken={}", options.token));
        let mut authorization = authorization.map_err(|_| "proxmox.token cannot be sent.".to_owned())?;
        authorization.set_sensitive(true);
        let secret = options.token.rsplit('=').next().unwrap_or_default().to_owned();
        Ok(Self { client, base, authorization, secret })
    }

    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.call(Method::GET, path).await
    }

    /// The `data` of an answer.
    pub async fn call<T: DeserializeOwned>(&self, method: Method, path: &str) -> Result<T> {
        Ok(self.answer(method, path).await?.data)
    }

    pub async fn answer<T: DeserializeOwned>(&self, method: Method, path: &str) -> Result<Data<T>> {
        let url = self.base.join(path).map_err(Error::internal)?;
        let request = self.client.request(method, url).header("Authorization", self.authorization.clone());
        let sent = request.send().await;
        let mut response =
            sent.map_err(|error| tls::unreached(&error.without_url(), "Proxmox VE's", away))?;
        let status = response.status();
        let in_line = response.extensions().get::<ReasonPhrase>().map(|it| it.as_bytes().to_vec());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| away(&error.without_url()))? {
            body.extend_from_slice(&chunk);
            if body.len() > MOST_BYTES {
                return Err(away(&"its answer is too long"));
            }
        }
        if status.is_success() {
            let mut data: Data<T> = serde_json::from_slice(&body).map_err(|error| away(&error))?;
            data.date = response.headers().get("date").and_then(|it| Some(it.to_str().ok()?.to_owned()));
            return Ok(data);
        }
        let said = reason(&body, in_line.as_deref()).map(|said| self.without_secret(&said));
        Err(refused(status.as_u16(), said))
    }

    fn without_secret(&self, said: &str) -> String {
        if self.secret.is_empty() { said.to_owned() } else { said.replace(&self.secret, "***") }
    }
}

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    message: String,
}

/// Proxmox VE's own words for what went wrong: in the body of a newer one, in the status line of all. A page of some
/// proxy is none.
fn reason(body: &[u8], in_line: Option<&[u8]>) -> Option<String> {
    let said: Option<Said> = serde_json::from_slice(body).ok();
    let in_line = || String::from_utf8_lossy(in_line.unwrap_or_default()).into_owned();
    let said = said.map(|said| said.message).filter(|said| !said.is_empty()).unwrap_or_else(in_line);
    let words = said.split(|it: char| it.is_whitespace() || it.is_control()).filter(|word| !word.is_empty());
    let said: String = words.collect::<Vec<_>>().join(" ").chars().take(MOST_SAID).collect();
    Some(said).filter(|said| !said.is_empty())
}

fn refused(status: u16, said: Option<String>) -> Error {
    let cause = format!("{status}: {}", said.as_deref().unwrap_or("no reason"));
    let because = match said {
        Some(said) if said.ends_with(['.', '?', '!']) => format!(": {said}"),
        Some(said) => format!(": {said}."),
        None => ".".to_owned(),
    };
    match status {
        401 | 403 => {
            let public =
                format!("Proxmox VE does not take this service's token, or it lacks a right{because}");
            Error::new(Kind::Forbidden, "machines.forbidden", public).because(cause)
        }
        404 => Error::not_found("machines.unknown", "Proxmox VE knows no such thing."),
        400 => Error::internal(format!("Proxmox VE: {cause}")),
        // It says 500 for most that goes wrong, a lost quorum included, and 595 to 599 for a node that is away.
        _ => {
            let public = format!("Proxmox VE cannot do it at the moment{because}");
            Error::unavailable("machines.unavailable", public).because(cause)
        }
    }
}

pub(super) fn away(cause: &dyn std::fmt::Display) -> Error {
    Error::unavailable("machines.unavailable", "Proxmox VE does not answer as it should at the moment.")
        .because(cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line_of_proxmox_s_own_words() {
        let quorum = br#"{"data":null,"message":"cluster not ready - no quorum?\n"}"#;
        assert_eq!(reason(quorum, None).as_deref(), Some("cluster not ready - no quorum?"));
        let bare = br#"{"data":null}"#;
        assert_eq!(reason(bare, Some(b"No route to host")).as_deref(), Some("No route to host"));
        assert_eq!(reason(b"<html>Bad Gateway</html>", None), None);
        assert_eq!(reason(br#"{"message":"a\n\u001b[31mb."}"#, None).as_deref(), Some("a [31mb."));
        assert_eq!(reason(&[b'x'; 9], Some(&[b'y'; 999])).unwrap().len(), MOST_SAID);
        assert!(refused(595, reason(bare, Some(b"No route to host"))).public.ends_with("No route to host."));
    }
}
