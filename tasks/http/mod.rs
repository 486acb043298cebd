//! What an HTTP answer means for a step; for the tasks that call other servers.

use std::time::Duration;

use flow_domain::flows::Context;
use flow_domain::ports::{HttpRequest, HttpResponse};
use flow_domain::{Error, Kind, Result};
use jiff::{SignedDuration, Timestamp};

/// A server that asks for a longer pause is asked again after this one.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// Sends the request, and gives it up when the step is to stop.
pub async fn send(ctx: &Context, request: HttpRequest) -> Result<HttpResponse> {
    tokio::select! {
        answer = ctx.ports.http.send(request) => answer,
        () = ctx.cancel.cancelled() => {
            Err(Error::new(Kind::Conflict, "http.cancelled", "The call was given up, as the step was stopped."))
        }
    }
}

pub fn header<'a>(response: &'a HttpResponse, name: &str) -> Option<&'a str> {
    response
        .headers
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}

/// The content type without its parameters, in lower case.
pub fn media_type(response: &HttpResponse) -> Option<String> {
    let value = header(response, "content-type")?;
    Some(value.split(';').next().unwrap_or(value).trim().to_lowercase())
}

pub fn is_json(media_type: &str) -> bool {
    matches!(media_type, "application/json" | "text/json") || media_type.ends_with("+json")
}

/// The pause that the server asks for, RFC 9110 10.2.3: seconds or a date.
pub fn retry_after(response: &HttpResponse, now: Timestamp) -> Option<Duration> {
    let value = header(response, "retry-after")?.trim();
    let wait = match value.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let time = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
            let wait: SignedDuration = time.duration_since(now);
            wait.max(SignedDuration::ZERO).unsigned_abs()
        }
    };
    Some(wait.min(LONGEST_RETRY_AFTER))
}

/// Whether the same request may be answered otherwise in a while.
pub fn may_pass(status: u16) -> bool {
    matches!(status, 408 | 425 | 429) || status >= 500
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(value: &str) -> Option<Duration> {
        let headers = [("Retry-After".to_owned(), value.to_owned())].into();
        let now = "2026-10-21T07:28:00Z".parse().expect("a time");
        retry_after(&HttpResponse { status: 503, headers, body: vec![] }, now)
    }

    #[test]
    fn a_pause_is_read_as_seconds_or_as_a_date_and_is_bounded() {
        assert_eq!(asked("7"), Some(Duration::from_secs(7)));
        assert_eq!(asked("Wed, 21 Oct 2026 07:28:30 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(asked("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!(asked("99999999"), Some(LONGEST_RETRY_AFTER));
        assert_eq!(asked("soon"), None);
    }
}
