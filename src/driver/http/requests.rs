//! What is known of a request while it is answered, and what every answer carries: its id, one line in the log.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use flow_domain::UserId;
use log::info;
use rocket::fairing::{Fairing, Info, Kind};
use rocket::form::Form;
use rocket::http::Method;
use rocket::request::Request;
use rocket::{Data, Response};
use uuid::Uuid;

use super::request_meters::RequestMeters;
use super::traced::Traced;
use super::{Problem, headers};

pub const REQUEST_ID: &str = "X-Request-Id";

/// One request and its answer; kept in Rocket's request-local state.
pub struct Exchange {
    id: String,
    started: Instant,
    user: OnceLock<UserId>,
    code: OnceLock<&'static str>,
    refusal: Mutex<Option<Problem>>,
}

impl Exchange {
    pub fn of<'r>(request: &'r Request<'_>) -> &'r Self {
        request.local_cache(|| Self {
            id: request
                .headers()
                .get_one(REQUEST_ID)
                .filter(|id| is_sane(id))
                .map_or_else(|| Uuid::now_v7().to_string(), str::to_owned),
            started: Instant::now(),
            user: OnceLock::new(),
            code: OnceLock::new(),
            refusal: Mutex::new(None),
        })
    }

    /// The caller's own request id, if it is one that can stand in a log and a header, else a new one.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn is_by(&self, user: UserId) {
        let _ = self.user.set(user);
    }

    pub(super) fn ends_with(&self, code: &'static str) {
        let _ = self.code.set(code);
    }

    /// Leaves a guard's problem for the catcher: Rocket hands a catcher the status only.
    pub(super) fn refuse(&self, problem: Problem) {
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(problem);
    }

    pub(super) fn take_refusal(&self) -> Option<Problem> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn is_sane(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

/// Longer paths are cut in the log.
const MAX_LOGGED_PATH: usize = 200;

/// Gives every request its id, every answer its headers, and the log its line.
pub struct Requests;

#[rocket::async_trait]
impl Fairing for Requests {
    fn info(&self) -> Info {
        Info { name: "requests", kind: Kind::Request | Kind::Response }
    }

    async fn on_request(&self, request: &mut Request<'_>, data: &mut Data<'_>) {
        if changed_its_method(request, data).await {
            request.set_method(Method::Post);
        }
        Exchange::of(request);
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        let exchange = Exchange::of(request);
        response.set_raw_header(REQUEST_ID, exchange.id.clone());
        headers::set(request, response);
        let status = response.status().code;
        if let Some(meters) = request.rocket().state::<Arc<RequestMeters>>() {
            meters.answered(request, status, exchange.started.elapsed());
        }
        info!("{}", line(request, exchange, status));
    }
}

/// Whether Rocket took the first field of a form, `_method=delete`, for the method of what was a POST, before it asked
/// anyone. No call here takes forms.
async fn changed_its_method(request: &Request<'_>, data: &mut Data<'_>) -> bool {
    if request.method() == Method::Post || !request.content_type().is_some_and(|media| media.is_form()) {
        return false;
    }
    let start = data.peek("_method=delete".len()).await;
    let first = std::str::from_utf8(start).ok().and_then(|start| Form::values(start).next());
    first.is_some_and(|field| field.name == "_method" && field.value.parse::<Method>().is_ok())
}

/// The path without its query: a query may hold what is nobody's business.
fn line(request: &Request<'_>, exchange: &Exchange, status: u16) -> String {
    let path = request.uri().path().as_str();
    let path = path.get(..MAX_LOGGED_PATH).unwrap_or(path);
    let mut line = format!(
        "{} {path} {status} {}ms request={}",
        request.method(),
        exchange.started.elapsed().as_millis(),
        exchange.id
    );
    if let Some(trace) = Traced::sent(request) {
        line.push_str(&format!(" trace={}", trace.trace()));
    }
    if let Some(user) = exchange.user.get() {
        line.push_str(&format!(" user={user}"));
    }
    if let Some(code) = exchange.code.get() {
        line.push_str(&format!(" code={code}"));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::is_sane;

    #[test]
    fn only_short_plain_ids_are_taken_from_callers() {
        assert!(is_sane("a-Z_0.9"));
        assert!(is_sane(&"x".repeat(64)));
        for bad in ["", "a b", "a\n", "é", "a;b", &"x".repeat(65)] {
            assert!(!is_sane(bad), "{bad:?}");
        }
    }
}
