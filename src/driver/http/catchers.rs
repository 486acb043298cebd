//! What Rocket refuses by itself, in the same envelope as everything else.

use std::collections::BTreeSet;

use flow_domain::Error;
use rocket::http::{Method, Status};
use rocket::request::Request;
use rocket::{Catcher, catch, catchers};

use super::Problem;
use super::requests::Exchange;

pub(super) fn all() -> Vec<Catcher> {
    catchers![everything]
}

#[catch(default)]
fn everything(status: Status, request: &Request<'_>) -> Problem {
    if let Some(problem) = Exchange::of(request).take_refusal() {
        return problem;
    }
    match status.code {
        // A path parameter that does not parse forwards with 422: there is nothing at such a path.
        404 | 422 => nothing_here(request),
        // Rocket takes a method that it has never heard of for a GET, and says only that it cannot go on. An address
        // that cannot be understood has no path but the root.
        400 if request.method() == Method::Get => wrong_method(request),
        400 => Problem::http(status, "request.malformed", "The request cannot be understood."),
        413 => Problem::http(status, "body.too_large", "The body is larger than 1 MiB."),
        500 => Error::internal("a handler panicked; the lines before this one say where").into(),
        _ => Problem::http(status, "request.refused", status.reason_lossy()),
    }
}

/// Rocket routes by method too and calls a wrong one 404.
fn nothing_here(request: &Request<'_>) -> Problem {
    match allowed(request).contains(request.method().as_str()) {
        true => nothing(),
        false => wrong_method(request),
    }
}

fn nothing() -> Problem {
    Error::not_found("path.unknown", "There is nothing at this path.").into()
}

fn wrong_method(request: &Request<'_>) -> Problem {
    let allowed = allowed(request);
    if allowed.is_empty() {
        return nothing();
    }
    let allow: Vec<&str> = allowed.into_iter().collect();
    let allow = allow.join(", ");
    let detail = format!("This path takes {allow}.");
    Problem::http(Status::MethodNotAllowed, "method.not_allowed", detail).header("Allow", allow)
}

fn allowed(request: &Request<'_>) -> BTreeSet<&'static str> {
    // Decoded and without empty ones, as Rocket's router compares them.
    let path: Vec<&str> = request.uri().path().segments().collect();
    let here = || request.rocket().routes().filter(|route| is_at(route.uri.path(), &path));
    // `/room/<name>/who` is not one of the messages `/room/<name>/<message>`.
    let nearest = here().map(|route| blanks(route.uri.path())).min();
    let mut methods: BTreeSet<&str> = here()
        .filter(|route| Some(blanks(route.uri.path())) == nearest)
        .map(|route| route.method.as_str())
        .collect();
    // Rocket answers HEAD wherever it answers GET.
    if methods.contains(Method::Get.as_str()) {
        methods.insert(Method::Head.as_str());
    }
    methods
}

/// How many parts of a route's path may be anything.
fn blanks(route: &str) -> usize {
    route.matches('<').count()
}

/// Whether a route's path, with its `<name>` and `<name..>`, is the one of these segments.
fn is_at(route: &str, path: &[&str]) -> bool {
    let mut segments = path.iter();
    for part in route.split('/').filter(|part| !part.is_empty()) {
        if part.starts_with('<') && part.ends_with("..>") {
            return true;
        }
        match segments.next() {
            Some(segment) if part.starts_with('<') || part == *segment => {}
            _ => return false,
        }
    }
    segments.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::is_at;

    #[test]
    fn a_route_is_at_its_path_and_at_no_other() {
        let places: [(&str, &[&str]); 5] = [
            ("/", &[]),
            ("/me", &["me"]),
            ("/runs/<id>/why", &["runs", "7", "why"]),
            ("/site/<path..>", &["site", "a", "b"]),
            ("/site/<path..>", &["site"]),
        ];
        for (route, path) in places {
            assert!(is_at(route, path), "{route} {path:?}");
        }
        let others: [(&str, &[&str]); 4] = [
            ("/", &["me"]),
            ("/me", &["m"]),
            ("/runs/<id>", &["runs"]),
            ("/runs/<id>", &["runs", "7", "why"]),
        ];
        for (route, path) in others {
            assert!(!is_at(route, path), "{route} {path:?}");
        }
    }
}
