//! Calls to other servers with reqwest, to the configured hosts and to no others.

mod allowed;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use flow_domain::ports::{HttpClient, HttpRequest, HttpResponse};
use flow_domain::{Error, Kind, Result};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Method, Response, StatusCode, Url, redirect};

use allowed::AllowedHosts;

/// After this many redirects a server is taken to lead in circles.
const MOST_REDIRECTS: usize = 5;

#[derive(Clone, Debug)]
pub struct HttpClientOptions {
    /// `api.example.com` or `*.example.com` (what is below it, not itself), each with `:PORT`, `:*` for any port,
    /// or neither for 80 by http and 443 by https. An address is allowed only where it is listed itself:
    /// `127.0.0.1:8080`, `[::1]:8080`. A name is trusted, whatever it resolves to.
    pub allowed_hosts: Vec<String>,
    /// For name resolution, TCP and TLS together.
    pub connect_timeout: Duration,
}

impl Default for HttpClientOptions {
    /// Nobody may be called.
    fn default() -> Self {
        Self { allowed_hosts: Vec::new(), connect_timeout: Duration::from_secs(10) }
    }
}

pub struct ReqwestHttpClient {
    client: reqwest::Client,
    allowed: AllowedHosts,
}

impl ReqwestHttpClient {
    /// An entry that cannot be read is an error that names it.
    pub fn new(options: &HttpClientOptions) -> Result<Self> {
        let allowed = AllowedHosts::parse(&options.allowed_hosts)?;
        let client = reqwest::Client::builder()
            .user_agent(concat!("flow-manager/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(options.connect_timeout)
            // Each hop is held against the list here, and headers do not follow to another origin.
            .redirect(redirect::Policy::none())
            .referer(false)
            // A proxy from the environment would be a host nobody listed.
            .no_proxy()
            .build()
            .map_err(Error::internal)?;
        Ok(Self { client, allowed })
    }

    async fn follow(&self, request: HttpRequest) -> Result<HttpResponse> {
        let mut hop = Hop::first(request)?;
        for _ in 0..=MOST_REDIRECTS {
            self.allowed.check(&hop.url)?;
            let response = self.send_once(&hop).await?;
            match redirected_to(&response, &hop.url)? {
                Some(url) => hop = hop.next(response.status(), url)?,
                None => return read(response, &hop).await,
            }
        }
        Err(Error::new(
            Kind::Invalid,
            "http.too_many_redirects",
            format!("The server redirected more than {MOST_REDIRECTS} times."),
        ))
    }

    async fn send_once(&self, hop: &Hop) -> Result<Response> {
        let mut request =
            self.client.request(hop.method.clone(), hop.url.clone()).headers(hop.headers.clone());
        if let Some(body) = &hop.body {
            request = request.body(body.clone());
        }
        request.send().await.map_err(unavailable)
    }
}

#[async_trait]
impl HttpClient for ReqwestHttpClient {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse> {
        let timeout = request.timeout;
        // One clock for all redirects and the body, so that a server that drips cannot hold a step.
        tokio::time::timeout(timeout, self.follow(request)).await.unwrap_or_else(|_| {
            Err(Error::unavailable("http.timeout", "The server did not answer in time.")
                .because(format!("no whole answer within {timeout:?}")))
        })
    }
}

/// A request on its way, perhaps redirected.
struct Hop {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Option<Vec<u8>>,
    max_bytes: usize,
}

impl Hop {
    fn first(request: HttpRequest) -> Result<Self> {
        let invalid = |code, public: String| Error::invalid(code, public, vec![]);
        let method = Method::from_bytes(request.method.as_bytes())
            .map_err(|_| invalid("http.method_invalid", "This is not an HTTP method.".to_owned()))?;
        let url = Url::parse(&request.url)
            .map_err(|error| invalid("http.url_invalid", format!("This is not a URL: {error}.")))?;
        let mut headers = HeaderMap::new();
        for (name, value) in &request.headers {
            // The name only: the value may be a password.
            let unfit = || invalid("http.header_invalid", format!("The header {name:?} cannot be sent."));
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unfit())?;
            let mut value = HeaderValue::from_str(value).map_err(|_| unfit())?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Ok(Self { method, url, headers, body: request.body, max_bytes: request.max_bytes })
    }

    /// The request that a redirect asks for, RFC 9110 15.4: 303 asks for a GET, and so do 301 and 302 in answer to
    /// a POST, as every client reads them.
    fn next(mut self, status: StatusCode, url: Url) -> Result<Self> {
        if self.url.scheme() == "https" && url.scheme() != "https" {
            let public = "The server redirected from https to an unencrypted address.";
            return Err(Error::forbidden("http.redirect_refused", public));
        }
        let becomes_get = match status {
            StatusCode::SEE_OTHER => self.method != Method::HEAD,
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => self.method == Method::POST,
            _ => false,
        };
        if becomes_get {
            self.method = Method::GET;
            self.body = None;
            self.headers.remove(CONTENT_TYPE);
        }
        if url.origin() != self.url.origin() {
            // Nobody can say which headers of a caller's own are secrets; another server gets none but these.
            let plain = ["accept", "accept-language", "content-type"];
            self.headers = self
                .headers
                .iter()
                .filter(|(name, _)| plain.contains(&name.as_str()))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
        }
        self.url = url;
        Ok(self)
    }
}

fn redirected_to(response: &Response, from: &Url) -> Result<Option<Url>> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = response.headers().get(LOCATION) else { return Ok(None) };
    let url = location.to_str().ok().and_then(|location| from.join(location).ok());
    url.map(Some).ok_or_else(|| {
        Error::invalid("http.redirect_invalid", "The server redirected to what is not a URL.", vec![])
    })
}

async fn read(mut response: Response, hop: &Hop) -> Result<HttpResponse> {
    let too_large = || {
        let public = format!("The server's answer is longer than {} bytes.", hop.max_bytes);
        Error::new(Kind::TooLarge, "http.answer_too_large", public)
    };
    let most = hop.max_bytes as u64;
    if hop.method != Method::HEAD && response.content_length().is_some_and(|length| length > most) {
        return Err(too_large());
    }
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in response.headers() {
        let value = String::from_utf8_lossy(value.as_bytes());
        headers
            .entry(name.as_str().to_owned())
            .and_modify(|known| {
                known.push_str(", ");
                known.push_str(&value);
            })
            .or_insert_with(|| value.to_string());
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unavailable)? {
        if body.len() + chunk.len() > hop.max_bytes {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(HttpResponse { status: response.status().as_u16(), headers, body })
}

/// `http.unreachable` promises that nothing of the request was sent.
fn unavailable(error: reqwest::Error) -> Error {
    let (code, public) = if error.is_connect() {
        ("http.unreachable", "The server cannot be reached.")
    } else if error.is_timeout() {
        ("http.timeout", "The server did not answer in time.")
    } else {
        ("http.broken", "The connection to the server broke.")
    };
    // A URL may hold a password; the chain below says more than the outer error's own words.
    let error = error.without_url();
    let mut cause = error.to_string();
    let mut inner = std::error::Error::source(&error);
    while let Some(error) = inner {
        cause = format!("{cause}: {error}");
        inner = error.source();
    }
    Error::unavailable(code, public).because(cause)
}

#[cfg(test)]
mod tests;
