//! Whether the service lives, may be sent requests, and how its parts are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use flow_domain::Error;
use flow_domain::health::{Condition, Health, Probe};
use flow_domain::users::Role;
use futures_util::future::join_all;
use rocket::http::{Method, Status};
use rocket::{Route, State, get, routes};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::guards::Caller;
use super::{Answer, Handled, Operation, Resource, Services};

/// A part that takes longer to say how it is, is not well.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// Anyone may ask; the parts are asked once in this time.
const FRESH: Duration = Duration::from_secs(2);
/// What the two services of the API stand on: those who sign in need the one, those who ask the others.
const AUTH: &[&str] = &["database"];
const API: &[&str] = &["database", "cache"];

/// Whether requests are welcome. The application moves it on: starting, ready, draining.
#[derive(Default)]
pub struct Readiness(AtomicU8);

impl Readiness {
    pub fn set_ready(&self) {
        self.0.store(1, Ordering::Release);
    }

    /// From now on a load balancer sends no more requests; those that come are still served.
    pub fn set_draining(&self) {
        self.0.store(2, Ordering::Release);
    }

    fn check(&self) -> Result<(), Error> {
        match self.0.load(Ordering::Acquire) {
            0 => Err(Error::unavailable("service.starting", "The service is starting.")),
            1 => Ok(()),
            _ => Err(Error::unavailable("service.draining", "The service is about to stop.")),
        }
    }
}

/// Asks all parts at once and remembers the answer for a moment.
pub struct Checkup {
    probes: Vec<Arc<dyn Probe>>,
    last: Mutex<Last>,
}

#[derive(Default)]
struct Last {
    report: Option<(Instant, Report)>,
    /// When each part was last found healthy.
    successes: BTreeMap<&'static str, Instant>,
}

#[derive(Clone, Serialize, JsonSchema)]
#[schemars(rename = "Health")]
struct Report {
    status: Health,
    /// For operators only.
    #[serde(skip_serializing_if = "Option::is_none")]
    components: Option<BTreeMap<&'static str, Component>>,
}

#[derive(Clone, Serialize, JsonSchema)]
struct Component {
    status: Health,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// How long it took to say so.
    latency_ms: f64,
    /// Since it was last healthy, as of this look; null when it never was since the start.
    last_success_s: Option<f64>,
}

impl Checkup {
    pub fn new(probes: Vec<Arc<dyn Probe>>) -> Self {
        Self { probes, last: Mutex::default() }
    }

    /// Those who ask together share one look at the parts.
    async fn report(&self) -> Report {
        let mut last = self.last.lock().await;
        if let Some((at, report)) = last.report.as_ref()
            && at.elapsed() < FRESH
        {
            return report.clone();
        }
        let mut components: BTreeMap<_, _> =
            join_all(self.probes.iter().map(ask)).await.into_iter().collect();
        for (service, needs) in [("auth", AUTH), ("api", API)] {
            let service = (service, standing_on(&components, needs));
            components.extend([service]);
        }
        let now = Instant::now();
        for (name, part) in &mut components {
            if part.status == Health::Healthy {
                last.successes.insert(name, now);
            }
            let since = |at: &Instant| now.duration_since(*at).as_secs_f64();
            part.last_success_s = last.successes.get(name).map(since);
        }
        let status = components.values().map(|part| part.status).max().unwrap_or(Health::Healthy);
        let report = Report { status, components: Some(components) };
        last.report = Some((now, report.clone()));
        report
    }
}

/// As well as the worst of what it needs.
fn standing_on(components: &BTreeMap<&'static str, Component>, needs: &[&'static str]) -> Component {
    let parts = || needs.iter().filter_map(|name| Some((name, components.get(name)?)));
    let status = parts().map(|(_, part)| part.status).max().unwrap_or(Health::Healthy);
    let ill = parts().find(|(_, part)| part.status != Health::Healthy);
    let latency_ms = parts().map(|(_, part)| part.latency_ms).fold(0.0, f64::max);
    let detail = ill.map(|(name, _)| format!("the {name} is not well"));
    Component { status, detail, latency_ms, last_success_s: None }
}

async fn ask(probe: &Arc<dyn Probe>) -> (&'static str, Component) {
    let asked = Instant::now();
    let condition = timeout(PROBE_TIMEOUT, probe.check()).await.unwrap_or_else(|_| Condition {
        health: probe.without_answer(),
        detail: Some("It did not answer within two seconds.".to_owned()),
    });
    // To the microsecond.
    let latency_ms = (asked.elapsed().as_secs_f64() * 1e6).round() / 1e3;
    let Condition { health: status, detail } = condition;
    (probe.component(), Component { status, detail, latency_ms, last_success_s: None })
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Ok")]
struct AllWell {
    /// Always `ok`.
    status: &'static str,
}

pub(super) fn resource() -> Resource {
    Resource {
        routes: routes![livez, readyz, health],
        operations: vec![
            Operation::new(Method::Get, "/livez", "The process lives").answers::<AllWell>(200, "It does"),
            Operation::new(Method::Get, "/readyz", "The service may be sent requests")
                .answers::<AllWell>(200, "It may")
                .problem(503, &["service.starting", "service.draining"]),
            Operation::new(Method::Get, "/health", "How the service is; its parts, for operators")
                .answers::<Report>(200, "Healthy or degraded")
                .answers::<Report>(503, "Unhealthy"),
        ],
    }
}

/// Of a process that serves nothing else.
pub(super) fn bare_routes() -> Vec<Route> {
    routes![livez, readyz]
}

#[get("/livez")]
fn livez() -> Handled {
    Answer::ok(&AllWell { status: "ok" })
}

#[get("/readyz")]
fn readyz(readiness: &State<Arc<Readiness>>) -> Handled {
    readiness.check()?;
    Answer::ok(&AllWell { status: "ok" })
}

/// A bad token is as good as none here: a monitor with an old one still learns the status.
#[get("/health")]
async fn health(services: &State<Services>, caller: Option<Caller>) -> Handled {
    let mut report = services.checkup.report().await;
    if caller.is_none_or(|caller| caller.role < Role::Operator) {
        report.components = None;
    }
    match report.status {
        Health::Unhealthy => Ok(Answer::json(Status::ServiceUnavailable, &report)?
            .header("Retry-After", FRESH.as_secs().to_string())),
        _ => Answer::ok(&report),
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::atomic::AtomicUsize;

    use async_trait::async_trait;

    use super::*;

    /// Counts who asks; answers, or never does.
    struct Counted {
        name: &'static str,
        asked: Arc<AtomicUsize>,
        answers: bool,
    }

    #[async_trait]
    impl Probe for Counted {
        fn component(&self) -> &'static str {
            self.name
        }

        async fn check(&self) -> Condition {
            self.asked.fetch_add(1, Ordering::SeqCst);
            if !self.answers {
                pending::<()>().await;
            }
            Condition::healthy()
        }

        fn without_answer(&self) -> Health {
            if self.name == "database" { Health::Unhealthy } else { Health::Degraded }
        }
    }

    async fn reports(parts: &[(&'static str, bool)]) -> (Vec<Report>, usize) {
        let asked = Arc::new(AtomicUsize::new(0));
        let probe = |(name, answers): &(&'static str, bool)| -> Arc<dyn Probe> {
            Arc::new(Counted { name, asked: asked.clone(), answers: *answers })
        };
        let checkup = Checkup::new(parts.iter().map(probe).collect());
        let reports = join_all((0..50).map(|_| checkup.report())).await;
        (reports, asked.load(Ordering::SeqCst))
    }

    #[tokio::test]
    async fn fifty_who_ask_at_once_ask_each_part_once() {
        let (reports, asked) = reports(&[("database", true), ("queue", true)]).await;
        assert_eq!(asked, 2);
        assert!(reports.len() == 50 && reports.iter().all(|report| report.status == Health::Healthy));
    }

    #[tokio::test]
    async fn a_part_that_never_answers_is_as_bad_as_its_absence() {
        for (silent, status) in [("queue", Health::Degraded), ("database", Health::Unhealthy)] {
            let parts = [("database", silent != "database"), ("queue", silent != "queue")];
            let (reports, asked) = reports(&parts).await;
            // Those who waited for the look share what it found.
            assert_eq!((asked, reports[49].status), (2, status), "{silent}");
            let components = reports[0].components.as_ref().unwrap();
            assert_eq!(components[silent].status, status);
            assert_eq!(components[silent].detail.as_deref(), Some("It did not answer within two seconds."));
        }
    }
}
