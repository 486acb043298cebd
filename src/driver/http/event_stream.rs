//! Server-sent events of a run.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use flow_domain::RunId;
use flow_domain::flows::Flows;
use flow_domain::flows::event::Event as RunEvent;
use futures_util::Stream;
use rocket::Shutdown;
use rocket::request::{FromRequest, Outcome, Request};
use rocket::response::stream::{Event, EventStream, stream};
use tokio_util::sync::CancellationToken;

use super::backlog::{Backlog, Stalled, Taken};
use super::leash::Leash;
use super::streams::Seat;

/// A comment keeps proxies from closing a quiet stream.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(15);
/// Read from the store at once; the store bounds their bytes.
const AT_ONCE: usize = 200;
/// How long one look at the run waits for something new.
const LOOK_FOR: Duration = Duration::from_secs(60);
/// A store that is away is asked again after this long.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// What a reader hears who was cut off.
const CUT: &str = r#"{"code":"stream.too_slow","detail":"You took nothing for too long; come back with the id of the last event you have."}"#;

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

/// Every event after `after`, those to come included, then `end`. A service that stops says nothing more, one whose
/// reader is too slow says `cut`: either way the reader comes back with its last id, to this process or another.
/// One whose token has ended hears no more either.
pub(super) fn follow(
    flows: Arc<Flows>,
    run: RunId,
    after: i64,
    seat: Seat,
    shutdown: Shutdown,
    leash: Leash,
) -> RunStream {
    let backlog = Arc::new(Backlog::new());
    let gone = CancellationToken::new();
    let stall = seat.stall();
    let (filled, left) = (backlog.clone(), gone.clone());
    tokio::spawn(async move {
        let filling = fill(&flows, run, after, &filled, stall);
        tokio::select! {
            stalled = filling => if stalled.is_err() {
                log::warn!("run={run} a reader of its events took nothing for {stall:?} and was cut off");
            },
            () = left.cancelled() => {}
            _ = shutdown => {}
            () = leash => {}
        }
        filled.end();
    });
    let gone = gone.drop_guard();
    let events: Pin<Box<dyn Stream<Item = Event> + Send>> = Box::pin(stream! {
        // The place is taken until the connection is gone, not only until its reader is given up.
        let _held = (seat, gone);
        loop {
            match backlog.take().await {
                Taken::Entry(event) => yield event,
                Taken::Over => return,
                Taken::Cut => {
                    yield Event::data(CUT).event("cut");
                    return;
                }
            }
        }
    });
    EventStream::from(events).heartbeat(HEARTBEAT)
}

/// Reads on as the reader makes room, to the run's end.
async fn fill(
    flows: &Flows,
    run: RunId,
    mut after: i64,
    backlog: &Backlog<Event>,
    stall: Duration,
) -> Result<(), Stalled> {
    loop {
        let Ok((events, done)) = flows.events(run, after, AT_ONCE, LOOK_FOR).await else {
            tokio::time::sleep(ASK_AGAIN).await;
            continue;
        };
        for event in events {
            after = event.number;
            if let Some((event, bytes)) = written(&event) {
                backlog.put(event, bytes, stall).await?;
            }
        }
        if done {
            return backlog.put(Event::data("{}").event("end"), 0, stall).await;
        }
    }
}

/// An event as the stream has it, and its size.
fn written(event: &RunEvent) -> Option<(Event, usize)> {
    let data = serde_json::to_string(event).ok()?;
    let bytes = data.len();
    Some((Event::data(data).event(event.kind.as_str()).id(event.number.to_string()), bytes))
}
