//! A service elsewhere, called by HTTP as anyone would.

mod events;
mod follow;
mod sign_in;

use std::fmt;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use reqwest::{Method, Response, Url};
use serde_json::Value;

pub use events::Event;
pub use follow::{News, follow};
pub use sign_in::{Credentials, SignIn};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For a whole call that is not a stream.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// A stream says something each 15 s; one that is silent for longer is dead.
const SILENCE: Duration = Duration::from_secs(40);

/// Why a call did not do what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nobody answers, or nobody who can: worth another try.
    Away(String),
    /// A problem, as the service put it.
    Refused { status: u16, code: String, detail: String },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away(reason) => f.write_str(reason),
            Self::Refused { detail, .. } => f.write_str(detail),
        }
    }
}

/// One who is signed in at a service.
pub struct Remote {
    base: Url,
    http: reqwest::Client,
    credentials: Credentials,
    login: RwLock<Login>,
}

#[derive(Clone, Default)]
struct Login {
    token: String,
    who: String,
}

impl Remote {
    /// Signs in at `server`, such as `http://127.0.0.1:8080`.
    pub async fn sign_in(server: &str, credentials: Credentials) -> Result<Self, Failure> {
        let base: Url = server
            .parse()
            .ok()
            .filter(|url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| Failure::Away(format!("{server} is no address such as http://127.0.0.1:8080")))?;
        let http = reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(SILENCE).build();
        let http = http.map_err(away)?;
        let remote = Self { base, http, credentials, login: RwLock::default() };
        remote.sign_in_again().await?;
        Ok(remote)
    }

    /// A token ends after a while.
    pub async fn sign_in_again(&self) -> Result<(), Failure> {
        let request = self.http.post(self.url("/login")?).header("Content-Type", "application/json");
        let answer =
            checked(request.timeout(CALL_TIMEOUT).body(self.credentials.body()).send().await).await?;
        let answer: Value = json(answer).await?;
        let token =
            answer["token"].as_str().ok_or_else(|| Failure::Away("the server sent no token".into()))?;
        let login = Login { token: token.to_owned(), who: who(&answer["user"]) };
        *self.login.write().unwrap_or_else(PoisonError::into_inner) = login;
        Ok(())
    }

    fn login(&self) -> Login {
        self.login.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The caller's name and what they signed in as.
    pub fn who(&self) -> String {
        self.login().who
    }

    /// Without the password that an address may have in it.
    pub fn host(&self) -> String {
        let port = self.base.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}{port}", self.base.host_str().unwrap_or_default())
    }

    fn url(&self, path: &str) -> Result<Url, Failure> {
        self.base.join(path).map_err(away)
    }

    /// A call with a JSON body, or without; signs in again when the token has ended.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        self.call_with(method, path, body, &[]).await
    }

    /// The same, with headers.
    pub async fn call_with(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Result<Value, Failure> {
        match self.call_once(method.clone(), path, body, headers).await {
            Err(Failure::Refused { status: 401, .. }) => {
                self.sign_in_again().await?;
                self.call_once(method, path, body, headers).await
            }
            other => other,
        }
    }

    async fn call_once(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Result<Value, Failure> {
        let mut request = self.http.request(method, self.url(path)?).bearer_auth(self.login().token);
        if let Some(body) = body {
            request = request.header("Content-Type", "application/json").body(body.to_string());
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        json(checked(request.timeout(CALL_TIMEOUT).send().await).await?).await
    }

    /// Opens a stream of server-sent events after event `last`.
    async fn stream(&self, path: &str, last: i64) -> Result<Response, Failure> {
        let request = self.http.get(self.url(path)?).bearer_auth(self.login().token);
        let request = request.header("Accept", "text/event-stream").header("Last-Event-ID", last.to_string());
        checked(request.send().await).await
    }
}

fn who(user: &Value) -> String {
    let text = |key: &str| user[key].as_str();
    let role = text("role").unwrap_or("?");
    match text("username").or(text("name")).or(text("email")) {
        Some(name) if role == "anonymous" => format!("{name} (temporary)"),
        Some(name) => format!("{name} ({role})"),
        None => "anonymous".to_owned(),
    }
}

/// An answer that is not a refusal.
async fn checked(sent: Result<Response, reqwest::Error>) -> Result<Response, Failure> {
    let answer = sent.map_err(away)?;
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let problem: Value = json(answer).await.unwrap_or_default();
    let text = |key: &str| problem[key].as_str().map(str::to_owned);
    let detail = problem["errors"][0]["detail"].as_str().map(str::to_owned).or(text("detail"));
    let detail = detail.unwrap_or_else(|| format!("the server answers {status}"));
    match status.as_u16() {
        502..=504 => Err(Failure::Away(detail)),
        status => Err(Failure::Refused { status, code: text("code").unwrap_or_default(), detail }),
    }
}

async fn json(answer: Response) -> Result<Value, Failure> {
    let bytes = answer.bytes().await.map_err(away)?;
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&bytes).map_err(|_| Failure::Away("the server's answer is not JSON".into()))
}

/// In few words, and without the address, in which there may be a password.
fn away(error: impl std::error::Error) -> Failure {
    let mut cause: &dyn std::error::Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    Failure::Away(format!("the server does not answer ({cause})"))
}
