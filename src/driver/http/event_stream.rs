//! Server-sent events of a run.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use flow_domain::RunId;
use flow_domain::flows::Flows;
use futures_util::Stream;
use rocket::Shutdown;
use rocket::request::{FromRequest, Outcome, Request};
use rocket::response::stream::{Event, EventStream, stream};

/// A comment keeps proxies from closing a quiet stream.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(15);
/// Read from the store at once. The next are read when these are on their way, so that a reader who is slow holds
/// these in memory and no more.
const AT_ONCE: usize = 200;
/// How long one look at the run waits for something new.
const LOOK_FOR: Duration = Duration::from_secs(60);
/// A store that is away is asked again after this long.
const ASK_AGAIN: Duration = Duration::from_secs(1);

pub(super) type RunStream = EventStream<Pin<Box<dyn Stream<Item = Event> + Send>>>;

/// The header `Last-Event-ID` a reader sends when it comes back.
pub(super) struct LastEventId(pub(super) Option<i64>);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for LastEventId {
    type Error = Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Infallible> {
        let last = request.headers().get_one("Last-Event-ID").and_then(|id| id.parse().ok());
        Outcome::Success(Self(last.filter(|id: &i64| *id >= 0)))
    }
}

/// Every event after `after`, those to come included, then `end`. A service that stops says nothing more: the reader
/// comes back with its last id, to this process or another.
pub(super) fn follow(flows: Arc<Flows>, run: RunId, mut after: i64, mut shutdown: Shutdown) -> RunStream {
    let events: Pin<Box<dyn Stream<Item = Event> + Send>> = Box::pin(stream! {
        loop {
            let found = tokio::select! {
                found = flows.events(run, after, AT_ONCE, LOOK_FOR) => found,
                _ = &mut shutdown => return,
            };
            let Ok((events, done)) = found else {
                tokio::time::sleep(ASK_AGAIN).await;
                continue;
            };
            for event in events {
                after = event.number;
                let Ok(data) = serde_json::to_string(&event) else { continue };
                yield Event::data(data).event(event.kind.as_str()).id(event.number.to_string());
            }
            if done {
                yield Event::data("{}").event("end");
                return;
            }
        }
    });
    EventStream::from(events).heartbeat(HEARTBEAT)
}
