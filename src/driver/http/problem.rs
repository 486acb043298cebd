//! Every refusal and failure, in the one envelope of RFC 9457.

use std::io::Cursor;

use flow_domain::{Error, Fault, Kind};
use log::{error, warn};
use rocket::http::{ContentType, Header, Status};
use rocket::request::Request;
use rocket::response::{self, Responder, Response};
use schemars::JsonSchema;
use serde::Serialize;

use super::headers::HEADERS;
use super::requests::{Exchange, REQUEST_ID};

/// An error with its status. Handlers make one with `?` from the domain's error.
#[derive(Clone, Debug)]
pub struct Problem {
    pub(super) status: Status,
    pub(super) error: Box<Error>,
    headers: Vec<Header<'static>>,
}

/// The body, for the OpenAPI page as well.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub(super) struct ProblemBody<'a> {
    /// Always `about:blank`: `code` tells problems apart.
    r#type: &'a str,
    /// The status in words.
    title: &'a str,
    status: u16,
    /// For people.
    detail: &'a str,
    /// Stable, for programs.
    code: &'a str,
    /// As in the header `X-Request-Id` and in the service's log.
    request_id: &'a str,
    /// Every fault found in the request.
    errors: &'a [Fault],
}

impl Problem {
    /// For what HTTP knows and the domain does not: a wrong method, a wrong media type.
    pub fn http(status: Status, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, error: Box::new(Error::new(Kind::Malformed, code, detail)), headers: Vec::new() }
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push(Header::new(name, value.into()));
        self
    }

    /// Sends the caller on to a place that says it in its own words.
    pub(super) fn told_at(mut self, place: impl Into<String>) -> Self {
        self.status = Status::SeeOther;
        self.header("Location", place)
    }

    /// The cause goes to the log here and nowhere else.
    fn log(&self, request_id: &str) {
        let (code, cause) = (self.error.code, self.error.cause.as_deref());
        match (self.error.kind, cause) {
            (Kind::Internal, cause) => {
                error!("request={request_id} code={code} cause: {}", cause.unwrap_or("unknown"))
            }
            (_, Some(cause)) => warn!("request={request_id} code={code} cause: {cause}"),
            (_, None) => {}
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let status = match error.kind {
            Kind::Malformed => Status::BadRequest,
            Kind::Unauthenticated => Status::Unauthorized,
            Kind::Forbidden => Status::Forbidden,
            Kind::NotFound => Status::NotFound,
            Kind::Conflict => Status::Conflict,
            Kind::Invalid => Status::UnprocessableEntity,
            Kind::TooLarge => Status::PayloadTooLarge,
            Kind::TooMany => Status::TooManyRequests,
            Kind::Unavailable => Status::ServiceUnavailable,
            Kind::Internal => Status::InternalServerError,
        };
        Self { status, error: Box::new(error), headers: Vec::new() }
    }
}

impl<'r> Responder<'r, 'static> for Problem {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        let exchange = Exchange::of(request);
        exchange.ends_with(self.error.code);
        self.log(exchange.id());
        let body = serde_json::to_vec(&ProblemBody {
            r#type: "about:blank",
            title: self.status.reason_lossy(),
            status: self.status.code,
            detail: &self.error.public,
            code: self.error.code,
            request_id: exchange.id(),
            errors: &self.error.faults,
        })
        .expect("strings and numbers are always JSON");
        let mut response = Response::build();
        response
            .status(self.status)
            .header(ContentType::new("application", "problem+json"))
            // Set here too, as are the headers: what Rocket cannot even parse reaches a catcher, but no fairing.
            .raw_header(REQUEST_ID, exchange.id().to_owned())
            .sized_body(body.len(), Cursor::new(body));
        for (name, value) in HEADERS {
            response.raw_header(name, value);
        }
        if self.status == Status::Unauthorized {
            response.raw_header("WWW-Authenticate", challenge(self.error.code));
        }
        if matches!(self.error.kind, Kind::TooMany | Kind::Unavailable) {
            response.raw_header("Retry-After", self.error.retry_after_s.unwrap_or(2).to_string());
        }
        for header in self.headers {
            response.header(header);
        }
        response.ok()
    }
}

/// RFC 6750, section 3: the error is named only when a token was sent.
fn challenge(code: &str) -> &'static str {
    match code {
        "auth.token_invalid" | "auth.token_expired" | "auth.token_revoked" => {
            "Bearer realm=\"flow-manager\", error=\"invalid_token\""
        }
        _ => "Bearer realm=\"flow-manager\"",
    }
}
