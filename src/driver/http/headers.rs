//! Headers that keep browsers careful, and the few that let pages elsewhere call.

use rocket::Response;
use rocket::http::{Method, Status};
use rocket::request::Request;

use super::edge::Edge;

/// Set on every answer that does not say otherwise. An API's answers are nobody's page: the web page brings its own
/// policy.
pub(super) const HEADERS: [(&str, &str); 6] = [
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
];

/// A year, as is usual.
const STAY_WITH_HTTPS: &str = "max-age=31536000";
/// Seconds for which a browser need not ask again whether it may call.
const PREFLIGHT_KEPT: &str = "600";
const ALLOWED_METHODS: &str = "GET, POST, DELETE";
const ALLOWED_HEADERS: &str = "Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, Prefer, X-Request-Id, traceparent";
const EXPOSED_HEADERS: &str = "ETag, Location, Preference-Applied, Retry-After, X-Cache, X-Request-Id";

/// Sets what is not set.
pub(super) fn set(request: &Request<'_>, response: &mut Response<'_>) {
    for (name, value) in HEADERS {
        if !response.headers().contains(name) {
            response.set_raw_header(name, value);
        }
    }
    if Edge::is_https(request) {
        response.set_raw_header("Strict-Transport-Security", STAY_WITH_HTTPS);
    }
    if let Some(edge) = Edge::of(request).filter(|edge| !edge.cors_origins.is_empty()) {
        share(edge, request, response);
    }
}

/// Cross-origin calls (Fetch standard, section 3.2), by token and never by cookie: credentials are not allowed.
fn share(edge: &Edge, request: &Request<'_>, response: &mut Response<'_>) {
    response.adjoin_raw_header("Vary", "Origin");
    let origin = request.headers().get_one("Origin");
    let Some(origin) = origin.filter(|origin| edge.cors_origins.iter().any(|known| known == origin)) else {
        return;
    };
    response.set_raw_header("Access-Control-Allow-Origin", origin.to_owned());
    response.set_raw_header("Access-Control-Expose-Headers", EXPOSED_HEADERS);
    response.set_raw_header("Cross-Origin-Resource-Policy", "cross-origin");
    let asks = request.headers().contains("Access-Control-Request-Method");
    if request.method() == Method::Options && asks {
        // No route answers OPTIONS, so what is here is the refusal of one.
        response.set_status(Status::NoContent);
        response.remove_header("Allow");
        response.remove_header("Content-Type");
        response.set_raw_header("Access-Control-Allow-Methods", ALLOWED_METHODS);
        response.set_raw_header("Access-Control-Allow-Headers", ALLOWED_HEADERS);
        response.set_raw_header("Access-Control-Max-Age", PREFLIGHT_KEPT);
        drop(std::mem::take(response.body_mut()));
    }
}
