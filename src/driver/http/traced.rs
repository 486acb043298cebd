//! The header `traceparent` (W3C Trace Context): runs that a request starts are kept with it.

use std::convert::Infallible;

use flow_domain::trace::{TraceParent, under};
use rocket::request::{FromRequest, Outcome, Request};

/// What the caller's tracing calls this request, if it says so well.
pub(super) struct Traced(Option<TraceParent>);

impl Traced {
    /// The standard's own header: more than one, or one that is malformed, is as good as none.
    pub(super) fn sent(request: &Request<'_>) -> Option<TraceParent> {
        let mut sent = request.headers().get("traceparent");
        let first = sent.next().filter(|_| sent.next().is_none());
        first.and_then(TraceParent::parse)
    }

    /// Does it for this request.
    pub(super) async fn of<F: Future>(self, work: F) -> F::Output {
        under(self.0, work).await
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Traced {
    type Error = Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Infallible> {
        Outcome::Success(Self(Self::sent(request)))
    }
}
