//! Server-sent events of a run, and of whatever else has numbered ones.

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
use rocket::response::{self, Responder};
use tokio_util::sync::CancellationToken;

use super::Answer;
use super::backlog::{Backlog, Stalled, Taken};
use super::leash::Leash;
use super::streams::Seat;

/// A comment keeps proxies from closing a quiet stream.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(15);
/// Read from the store at once; the store bounds their bytes.
pub(super) const AT_ONCE: usize = 200;
/// How long one look at the run waits for something new.
pub(super) const LOOK_FOR: Duration = Duration::from_secs(60);
/// A store that is away is asked again after this long.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// What a reader hears who was cut off.
const CUT: &str = r#"{"code":"stream.too_slow","detail":"You took nothing for too long; come back with the id of the last event you have."}"#;

pub(super) type RunStream = EventStream<Pin<Box<dyn Stream<Item = Event> + Send>>>;

/// A list, or a stream of what comes.
pub(super) enum EventsOrList {
    List(Answer),
    Stream(RunStream),
}

impl<'r> Responder<'r, 'r> for EventsOrList {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'r> {
        match self {
            Self::List(answer) => answer.respond_to(request),
            Self::Stream(stream) => stream.respond_to(request),
        }
    }
}

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

/// What is followed: a list that grows at its end.
#[rocket::async_trait]
pub(super) trait Growing: Send + Sync {
    /// For the log.
    fn name(&self) -> String;
    /// What comes after this number, at most [`AT_ONCE`], and whether nothing more will. Waits a while for the first.
    async fn page(&self, after: i64) -> flow_domain::Result<(Vec<Written>, bool)>;
}

/// One event, as the stream has it.
pub(super) struct Written {
    pub number: i64,
    pub kind: String,
    /// JSON, one line.
    pub data: String,
}

/// A run's events.
pub(super) struct OfRun {
    pub flows: Arc<Flows>,
    pub run: RunId,
}

#[rocket::async_trait]
impl Growing for OfRun {
    fn name(&self) -> String {
        format!("run={}", self.run)
    }

    async fn page(&self, after: i64) -> flow_domain::Result<(Vec<Written>, bool)> {
        let (events, done) = self.flows.events(self.run, after, AT_ONCE, LOOK_FOR).await?;
        let written = |event: RunEvent| {
            let data = serde_json::to_string(&event).ok()?;
            Some(Written { number: event.number, kind: event.kind.as_str().to_owned(), data })
        };
        Ok((events.into_iter().filter_map(written).collect(), done))
    }
}

/// Every event after `after`, those to come included, then `end`. A service that stops says nothing more, one whose
/// reader is too slow says `cut`: either way the reader comes back with its last id, to this process or another.
/// One whose token has ended hears no more either.
pub(super) fn follow(
    list: impl Growing + 'static,
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
        let filling = fill(&list, after, &filled, stall);
        tokio::select! {
            stalled = filling => if stalled.is_err() {
                log::warn!("{} a reader of its events took nothing for {stall:?} and was cut off", list.name());
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

/// Reads on as the reader makes room, to the end.
async fn fill(
    list: &dyn Growing,
    mut after: i64,
    backlog: &Backlog<Event>,
    stall: Duration,
) -> Result<(), Stalled> {
    loop {
        let Ok((events, done)) = list.page(after).await else {
            tokio::time::sleep(ASK_AGAIN).await;
            continue;
        };
        for Written { number, kind, data } in events {
            after = number;
            let bytes = data.len();
            backlog.put(Event::data(data).event(kind).id(number.to_string()), bytes, stall).await?;
        }
        if done {
            return backlog.put(Event::data("{}").event("end"), 0, stall).await;
        }
    }
}
