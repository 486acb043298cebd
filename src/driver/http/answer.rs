//! What a handler answers when all is well.

use std::io::Cursor;

use flow_domain::Error;
use rocket::http::{ContentType, Header, Status};
use rocket::request::Request;
use rocket::response::{self, Responder, Response};
use serde::Serialize;

use super::Problem;

/// The return type of every handler.
pub type Handled = Result<Answer, Problem>;

/// A status, headers and, mostly, JSON.
pub struct Answer {
    status: Status,
    body: Option<Vec<u8>>,
    headers: Vec<Header<'static>>,
}

impl Answer {
    pub fn json(status: Status, value: &impl Serialize) -> Handled {
        let body = serde_json::to_vec(value).map_err(Error::internal)?;
        Ok(Self { status, body: Some(body), headers: Vec::new() })
    }

    pub fn ok(value: &impl Serialize) -> Handled {
        Self::json(Status::Ok, value)
    }

    pub fn created(value: &impl Serialize) -> Handled {
        Self::json(Status::Created, value)
    }

    pub fn accepted(value: &impl Serialize) -> Handled {
        Self::json(Status::Accepted, value)
    }

    /// JSON that is made already, or none.
    pub fn of(status: Status, body: Option<Vec<u8>>) -> Self {
        Self { status, body, headers: Vec::new() }
    }

    /// A body that is not JSON.
    pub fn of_type(status: Status, media: &'static str, body: Vec<u8>) -> Self {
        Self { status, body: Some(body), headers: vec![Header::new("Content-Type", media)] }
    }

    pub fn no_content() -> Self {
        Self { status: Status::NoContent, body: None, headers: Vec::new() }
    }

    /// To be fetched from there, by GET.
    pub fn see_other(location: impl Into<String>) -> Self {
        Self { status: Status::SeeOther, body: None, headers: Vec::new() }.header("Location", location)
    }

    /// Adds a header; `value` must be visible ASCII.
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push(Header::new(name, value.into()));
        self
    }
}

impl<'r> Responder<'r, 'static> for Answer {
    fn respond_to(self, _: &'r Request<'_>) -> response::Result<'static> {
        let mut response = Response::build();
        response.status(self.status);
        if let Some(body) = self.body {
            // An answer's own headers come after this one and win.
            response.header(ContentType::JSON).sized_body(body.len(), Cursor::new(body));
        }
        for header in self.headers {
            response.header(header);
        }
        response.ok()
    }
}
