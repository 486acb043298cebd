//! Requests, counted by method, route and status. The routes are known at the start, so that no path a caller makes
//! up adds a label.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use flow_domain::meters::{Counter, Family, Histogram, Meters, SECONDS, Sample};
use rocket::Route;
use rocket::http::Method;
use rocket::request::Request;

/// Each that some call answers; any other counts as its hundred.
const STATUSES: [u16; 19] =
    [200, 201, 202, 204, 303, 304, 400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 500, 503, 0];
/// What fits no route.
const NO_ROUTE: &str = "(none)";

struct RouteMeter {
    statuses: [Counter; STATUSES.len()],
    took: Histogram,
}

impl Default for RouteMeter {
    fn default() -> Self {
        Self { statuses: Default::default(), took: Histogram::new(SECONDS) }
    }
}

pub(super) struct RequestMeters {
    /// By path, as the route has it.
    routes: HashMap<(Method, String), RouteMeter>,
    unrouted: RouteMeter,
}

impl RequestMeters {
    pub(super) fn of<'r>(routes: impl Iterator<Item = &'r Route>) -> Self {
        let route = |route: &Route| ((route.method, route.uri.path().to_owned()), RouteMeter::default());
        Self { routes: routes.map(route).collect(), unrouted: RouteMeter::default() }
    }

    /// `took`: until the answer's first byte was ready; a stream goes on after that.
    pub(super) fn answered(&self, request: &Request<'_>, status: u16, took: Duration) {
        let route = request.route().map(|route| (route.method, route.uri.path()));
        // A borrowed key would need a type of its own; one short string a request is not worth it.
        let meter = route.and_then(|(method, path)| self.routes.get(&(method, path.to_owned())));
        let meter = meter.unwrap_or(&self.unrouted);
        let index = STATUSES.iter().position(|known| *known == status).unwrap_or(STATUSES.len() - 1);
        meter.statuses[index].add(1);
        meter.took.took(took);
    }
}

#[async_trait]
impl Meters for RequestMeters {
    async fn read(&self) -> Vec<Family> {
        let (mut requests, mut took) = (Vec::new(), Vec::new());
        let known = self.routes.iter().map(|((method, path), meter)| (method.as_str(), shown(path), meter));
        for (method, route, meter) in known.chain([("any", NO_ROUTE.to_owned(), &self.unrouted)]) {
            let mut asked = false;
            for (status, count) in STATUSES.iter().zip(&meter.statuses).filter(|(_, count)| count.count() > 0)
            {
                let status = if *status == 0 { "other".to_owned() } else { status.to_string() };
                let labels = [("method", method), ("route", route.as_str()), ("status", &status)];
                requests.push(Sample::new(labels, count.reading()));
                asked = true;
            }
            if asked {
                took.push(Sample::new([("method", method), ("route", &route)], meter.took.reading()));
            }
        }
        vec![
            Family::new("http_requests", "Requests that were answered", requests),
            Family::new("http_request_duration_seconds", "Until an answer's first byte", took),
        ]
    }
}

/// As the API's page writes it: `/runs/{id}`.
fn shown(path: &str) -> String {
    path.replace('<', "{").replace('>', "}")
}
