//! `/metrics`: all that is counted, as OpenMetrics text, which Prometheus reads. For everyone, so there is nothing in
//! it of a user, a run or an input.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flow_domain::Error;
use flow_domain::meters::{Family, Meters, Reading, Sample};
use futures_util::future::join_all;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use rocket::http::{Method, Status};
use rocket::{State, get, routes};
use tokio::sync::Mutex;

use super::query::Query;
use super::request_meters::RequestMeters;
use super::{Answer, Handled, Operation, Resource};

const MEDIA: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Before all names but those that every client of Prometheus uses.
const PREFIX: &str = "flow_manager";
const SHARED_PREFIX: &str = "process_";
/// Anyone may ask; the parts are looked at once in this time.
const FRESH: Duration = Duration::from_secs(1);

/// All that counts, and the last text of it.
#[derive(Default)]
pub struct Metrics {
    sources: Vec<Arc<dyn Meters>>,
    last: Mutex<Option<(Instant, String)>>,
}

impl Metrics {
    pub fn new(sources: Vec<Arc<dyn Meters>>) -> Self {
        Self { sources, last: Mutex::default() }
    }

    /// Those who ask together share one look.
    async fn text(&self, requests: &RequestMeters) -> Result<String, Error> {
        let mut last = self.last.lock().await;
        if let Some((at, text)) = last.as_ref()
            && at.elapsed() < FRESH
        {
            return Ok(text.clone());
        }
        let read = join_all(self.sources.iter().map(|source| source.read())).await;
        let mut families: Vec<Family> = read.into_iter().flatten().chain(requests.read().await).collect();
        families.sort_by_key(|family| family.name);
        let text = text(families).map_err(Error::internal)?;
        *last = Some((Instant::now(), text.clone()));
        Ok(text)
    }
}

pub(super) fn resource() -> Resource {
    Resource {
        routes: routes![metrics],
        operations: vec![
            Operation::new(Method::Get, "/metrics", "What is counted, for Prometheus").answers_with(
                200,
                "application/openmetrics-text",
                "OpenMetrics text",
            ),
        ],
    }
}

#[get("/metrics")]
async fn metrics(
    metrics: &State<Arc<Metrics>>,
    requests: &State<Arc<RequestMeters>>,
    query: Query,
) -> Handled {
    query.only(&[])?;
    let text = metrics.text(requests).await?;
    Ok(Answer::of_type(Status::Ok, MEDIA, text.into_bytes()))
}

#[derive(Debug)]
struct Read(Vec<Family>);

fn text(families: Vec<Family>) -> Result<String, fmt::Error> {
    let (shared, own) = families.into_iter().partition(|family| family.name.starts_with(SHARED_PREFIX));
    let (mut ours, mut theirs) = (Registry::with_prefix(PREFIX), Registry::default());
    ours.register_collector(Box::new(Read(own)));
    theirs.register_collector(Box::new(Read(shared)));
    let mut text = String::new();
    encode_registry(&mut text, &ours)?;
    encode_registry(&mut text, &theirs)?;
    encode_eof(&mut text)?;
    Ok(text)
}

impl Collector for Read {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for Family { name, help, samples } in &self.0 {
            let Some(first) = samples.first() else { continue };
            let kind = match first.reading {
                Reading::Counter(_) => MetricType::Counter,
                Reading::Gauge(_) => MetricType::Gauge,
                Reading::Histogram { .. } => MetricType::Histogram,
            };
            let mut metric = encoder.encode_descriptor(name, help, None, kind)?;
            for Sample { labels, reading } in samples {
                if labels.is_empty() {
                    encode(&mut metric, reading)?;
                } else {
                    let labels: Vec<(&str, &str)> =
                        labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
                    encode(&mut metric.encode_family(&labels)?, reading)?;
                }
            }
        }
        Ok(())
    }
}

fn encode(metric: &mut MetricEncoder<'_>, reading: &Reading) -> fmt::Result {
    match reading {
        Reading::Counter(value) => metric.encode_counter::<NoLabelSet, f64, f64>(value, None),
        Reading::Gauge(value) => metric.encode_gauge(value),
        Reading::Histogram { sum, count, buckets } => {
            metric.encode_histogram::<NoLabelSet>(*sum, *count, buckets, None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_as_openmetrics_wants_it() {
        let histogram =
            Reading::Histogram { sum: 3.5, count: 3, buckets: vec![(1.0, 2), (f64::INFINITY, 1)] };
        let families = vec![
            Family::new("asked", "Who asked", vec![Sample::new([("who", "a\"b")], Reading::Counter(2.0))]),
            Family::of_one("took_seconds", "How long", histogram),
            Family::of_one("process_open_fds", "Open files", Reading::Gauge(7.0)),
            Family::new("none", "Nothing yet", vec![]),
        ];
        let expected = "\
# HELP flow_manager_asked Who asked
# TYPE flow_manager_asked counter
flow_manager_asked_total{who=\"a\\\"b\"} 2.0
# HELP flow_manager_took_seconds How long
# TYPE flow_manager_took_seconds histogram
flow_manager_took_seconds_sum 3.5
flow_manager_took_seconds_count 3
flow_manager_took_seconds_bucket{le=\"1.0\"} 2
flow_manager_took_seconds_bucket{le=\"+Inf\"} 3
# HELP process_open_fds Open files
# TYPE process_open_fds gauge
process_open_fds 7.0
# EOF
";
        assert_eq!(text(families).unwrap(), expected);
    }
}
