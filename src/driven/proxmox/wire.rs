//! Calls to a Proxmox VE API: <https://pve.proxmox.com/pve-docs/api-viewer/>.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use flow_domain::{Error, Kind, Result};
use reqwest::header::HeaderValue;
use reqwest::{Certificate, Client, Method, Url, redirect};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::pin;

const CALL: Duration = Duration::from_secs(15);
/// A cluster of thousands of machines is listed in less.
const MOST_BYTES: usize = 16 << 20;

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
        let mut base =
            Url::parse(&options.url).map_err(|error| format!("proxmox.url is no URL: {error}."))?;
        let here =
            base.host_str().and_then(|host| host.parse::<IpAddr>().ok()).is_some_and(|ip| ip.is_loopback());
        if base.scheme() != "https" && !(base.scheme() == "http" && here) {
            return Err("proxmox.url must begin with https://.".to_owned());
        }
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
            (None, Some(file)) => {
                let unread = |why: &dyn std::fmt::Display| format!("proxmox.ca_file cannot be used: {why}.");
                let pem = std::fs::read(file).map_err(|error| unread(&error))?;
                let roots = Certificate::from_pem_bundle(&pem).map_err(|error| unread(&error))?;
                roots.into_iter().fold(builder, |builder, root| builder.add_root_certificate(root))
            }
            (None, None) => builder,
        };
        let client = builder.build().map_err(|error| format!("Proxmox VE cannot be called: {error}."))?;
        let authorization = HeaderValue::from_str(&format!("PVEAPIToken={}", options.token));
        let mut authorization = authorization.map_err(|_| "proxmox.token cannot be sent.".to_owned())?;
        authorization.set_sensitive(true);
        Ok(Self { client, base, authorization })
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
        let mut response = request.send().await.map_err(|error| away(&chain(&error.without_url())))?;
        let status = response.status();
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
        // Its reason stands in the status line, or in the body of a newer one.
        let said: String = String::from_utf8_lossy(&body).chars().take(300).collect();
        Err(match status.as_u16() {
            401 | 403 => Error::new(
                Kind::Forbidden,
                "machines.forbidden",
                "Proxmox VE does not take this service's token, or it lacks a right.",
            )
            .because(format!("{status}: {said}")),
            404 => Error::not_found("machines.unknown", "Proxmox VE knows no such thing."),
            400 => Error::internal(format!("Proxmox VE: {status}: {said}")),
            // It says 500 for most that goes wrong, a lost quorum included, and 595 to 599 for a node that is away.
            _ => away(&format!("{status}: {said}")),
        })
    }
}

/// An error with what is behind it: the reason of a refused certificate is.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    text
}

pub(super) fn away(cause: &dyn std::fmt::Display) -> Error {
    Error::unavailable("machines.unavailable", "Proxmox VE does not answer as it should at the moment.")
        .because(cause)
}
