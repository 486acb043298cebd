//! `http_request`: one call to an allowed server.
//!
//! Its effect is `Once`, as an effect is a task's and not a method's: a POST must not be sent twice blindly. What
//! may be sent twice loses nothing by it but the write of its start: after a crash, [`TypedTask::recover`] says of
//! GET, HEAD, PUT and DELETE that they may go again, and of POST and PATCH that nobody can say.

mod scrub;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use flow_domain::flows::{Context, Effect, Plan, Policy, Recovery, Stop, TypedTask};
use flow_domain::ports;
use flow_domain::ports::HttpResponse;
use flow_domain::{Error, Kind};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::http::{is_json, may_pass, media_type, retry_after, send};
use scrub::Scrubber;

pub struct HttpRequest;

/// Of the answer's body: what a step may keep, less what its frame needs.
const MAX_ANSWER_BYTES: usize = (1 << 20) - (16 << 10);

const DEFAULT_TIMEOUT_S: u32 = 30;
const LONGEST_TIMEOUT_S: u32 = 300;

/// Headers of the connection, which are not the caller's to set.
const REFUSED_HEADERS: [&str; 7] =
    ["connection", "content-length", "host", "proxy-authorization", "te", "transfer-encoding", "upgrade"];

/// What a later step may want to know; cookies and the like stay out of stored outputs.
const KEPT_HEADERS: [&str; 8] = [
    "content-length",
    "content-type",
    "etag",
    "last-modified",
    "link",
    "location",
    "retry-after",
    "x-request-id",
];

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The method.
    method: Method,
    /// Where to: http or https, on an allowed host.
    url: String,
    /// Headers to send. The values of those that authorize are kept out of outputs and errors.
    #[serde(default, deserialize_with = "headers")]
    headers: Option<BTreeMap<String, String>>,
    /// Sent as JSON; for POST, PUT, PATCH and DELETE.
    body: Option<Value>,
    /// The statuses that are a success; 200 to 299 when not given.
    #[schemars(inner(range(min = 100, max = 599)))]
    expect: Option<Vec<u16>>,
    /// For the whole exchange, in seconds, 1 to 300; 30 when not given.
    #[schemars(range(min = 1, max = 300))]
    timeout_s: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    Get,
    Head,
    Put,
    Delete,
    Post,
    Patch,
}

impl Method {
    fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Post => "POST",
            Self::Patch => "PATCH",
        }
    }

    /// RFC 9110 9.2.2: sent twice, it does what it does once.
    fn is_idempotent(self) -> bool {
        !matches!(self, Self::Post | Self::Patch)
    }

    fn takes_key(self) -> bool {
        matches!(self, Self::Post | Self::Put | Self::Patch)
    }
}

#[derive(Serialize, JsonSchema)]
pub struct Output {
    /// The answer's status.
    status: u16,
    /// Some of its headers, with names in lower case.
    headers: BTreeMap<String, String>,
    /// JSON where the answer says it is, else text; null for an empty body and one that is not UTF-8.
    body: Value,
    /// Length of the body in bytes.
    size_bytes: usize,
}

#[async_trait]
impl TypedTask for HttpRequest {
    const NAME: &'static str = "http_request";
    const DESCRIPTION: &'static str =
        "Calls an allowed server once, with an idempotency key where it may matter.";
    type Input = Input;
    type Output = Output;

    fn effect(&self) -> Effect {
        Effect::Once
    }

    fn policy(&self) -> Policy {
        let timeout = Duration::from_secs(u64::from(LONGEST_TIMEOUT_S) + 5);
        Policy { timeout, attempts: 3, ..Policy::default() }
    }

    async fn run(&self, ctx: &Context, input: Input) -> Result<Output, Stop> {
        let (method, expect) = (input.method, input.expect.clone());
        let secrets = Scrubber::of(input.headers.iter().flatten());
        let request = prepared(input, &ctx.idempotency_key())?;
        let answer = send(ctx, request).await.map_err(|error| not_answered(method, error))?;
        let status = answer.status;
        let expected = match &expect {
            Some(statuses) => statuses.contains(&status),
            None => (200..300).contains(&status),
        };
        if !expected {
            return Err(unexpected(method, &answer));
        }
        Ok(output(answer, &secrets))
    }

    async fn recover(&self, _ctx: &Context, input: Input) -> Recovery {
        if input.method.is_idempotent() { Recovery::NeverStarted } else { Recovery::Unknown }
    }

    async fn plan(&self, _ctx: &Context, input: Input) -> Plan {
        Plan::new(format!("Sends a {} to another server.", input.method.as_str()))
    }
}

/// Serde's own message would quote what is wrong, which may be a password.
fn headers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<BTreeMap<String, String>>, D::Error> {
    let value = Option::<Value>::deserialize(deserializer)?;
    serde_json::from_value(value.unwrap_or_default())
        .map_err(|_| serde::de::Error::custom("headers must be an object of strings"))
}

fn prepared(input: Input, key: &str) -> Result<ports::HttpRequest, Stop> {
    let unfit = |detail: String| Stop::fail_clean("task.input_invalid", detail);
    let timeout_s = input.timeout_s.unwrap_or(DEFAULT_TIMEOUT_S);
    if !(1..=LONGEST_TIMEOUT_S).contains(&timeout_s) {
        return Err(unfit(format!("timeout_s must be 1 to {LONGEST_TIMEOUT_S}.")));
    }
    if input.body.is_some() && matches!(input.method, Method::Get | Method::Head) {
        return Err(unfit(format!("A {} has no body.", input.method.as_str())));
    }
    let mut headers = BTreeMap::new();
    for (name, value) in input.headers.into_iter().flatten() {
        let name = name.to_lowercase();
        if REFUSED_HEADERS.contains(&name.as_str()) {
            return Err(unfit(format!("The header {name:?} is not the caller's to set.")));
        }
        headers.insert(name, value);
    }
    if input.body.is_some() {
        headers.entry("content-type".to_owned()).or_insert_with(|| "application/json".to_owned());
    }
    if input.method.takes_key() {
        headers.entry("idempotency-key".to_owned()).or_insert_with(|| key.to_owned());
    }
    Ok(ports::HttpRequest {
        method: input.method.as_str().to_owned(),
        url: input.url,
        headers,
        body: input.body.map(|body| body.to_string().into_bytes()),
        timeout: Duration::from_secs(timeout_s.into()),
        max_bytes: MAX_ANSWER_BYTES,
    })
}

/// A request that surely never left may go again, and so may one that does no harm twice. A POST that may have
/// arrived is over: the engine would send it again if told to retry.
fn not_answered(method: Method, error: Error) -> Stop {
    let surely_not_sent = error.code == "http.unreachable";
    if error.kind != Kind::Unavailable || surely_not_sent || method.is_idempotent() {
        return error.into();
    }
    let detail = format!("{} Whether the {} arrived is not known.", error.public, method.as_str());
    log::warn!("a request's answer was lost: code={}", error.code);
    Stop::fail(error.code, detail)
}

fn unexpected(method: Method, answer: &HttpResponse) -> Stop {
    let status = answer.status;
    let detail = format!("The server answered {status}.");
    // To a POST, only these say that it was not carried out.
    let again = if method.is_idempotent() { may_pass(status) } else { matches!(status, 425 | 429 | 503) };
    match Stop::fail("http.unexpected_status", detail) {
        Stop::Fail(reason) if again => {
            Stop::Retry { reason, after: retry_after(answer, flow_domain::clock::now()) }
        }
        stop => stop,
    }
}

fn output(answer: HttpResponse, secrets: &Scrubber) -> Output {
    let size_bytes = answer.body.len();
    let json = media_type(&answer).is_some_and(|kind| is_json(&kind));
    let mut body = match String::from_utf8(answer.body) {
        Ok(text) if text.is_empty() => Value::Null,
        Ok(text) if json => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        // A NUL cannot be stored as text.
        Ok(text) if !text.contains('\0') => Value::String(text),
        _ => Value::Null,
    };
    secrets.scrub(&mut body);
    let headers = answer
        .headers
        .into_iter()
        .map(|(name, value)| (name.to_lowercase(), secrets.scrubbed(&value)))
        .filter(|(name, _)| KEPT_HEADERS.contains(&name.as_str()))
        .collect();
    Output { status: answer.status, headers, body, size_bytes }
}

#[cfg(test)]
mod tests;
