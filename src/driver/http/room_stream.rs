//! A room as a stream: one message a line, or server-sent events.

use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use flow_domain::rooms::{Line, Reader};
use rocket::Shutdown;
use rocket::http::{Accept, MediaType};
use rocket::request::{FromRequest, Outcome, Request};
use rocket::response::stream::{ByteStream, stream};
use rocket::response::{self, Responder};
use tokio::time::{Instant, sleep_until};

use super::event_stream::HEARTBEAT;
use super::leash::Leash;
use super::streams::Seat;

/// One JSON value a line.
pub(super) const LINES: &str = "application/x-ndjson";
const EVENTS: &str = "text/event-stream";

/// The first keep-alive comes this soon, and each after as long a silence as the stream is old, up to [`HEARTBEAT`]:
/// writing is what finds that a client is gone, and until then its stream costs what it did before. One that goes soon
/// after it came is found soon, and one that stays is not bothered.
const FIRST_HEARTBEAT: Duration = Duration::from_secs(1);

/// What a stream looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Lines,
    Events,
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Form {
    type Error = Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Infallible> {
        let events = |accept: &Accept| accept.media_types().any(|media| *media == MediaType::EventStream);
        let wanted = request.accept().is_some_and(events);
        Outcome::Success(if wanted { Self::Events } else { Self::Lines })
    }
}

impl Form {
    /// For browsers as well as for proxies, who might otherwise take a quiet stream for a dead one.
    fn keep_alive(self) -> String {
        match self {
            Self::Lines => "\n".to_owned(),
            Self::Events => ":\n\n".to_owned(),
        }
    }

    fn write(self, lines: &[Arc<Line>]) -> String {
        let mut text = String::with_capacity(lines.iter().map(|line| line.json.len() + 48).sum());
        for line in lines {
            let Line { id, json } = &**line;
            let _ = match self {
                Self::Lines => writeln!(text, "{json}"),
                Self::Events => write!(text, "id: {id}\nevent: message\ndata: {json}\n\n"),
            };
        }
        text
    }
}

/// Messages as they come, until its time is over, the reader has left or is too slow, or the service stops. It says
/// no word at its end: whoever wants more comes back with the last number it saw.
pub(super) struct RoomStream {
    reader: Reader,
    seat: Seat,
    form: Form,
    timeout: Duration,
    shutdown: Shutdown,
    leash: Leash,
}

impl RoomStream {
    pub(super) fn new(
        reader: Reader,
        seat: Seat,
        form: Form,
        timeout: Duration,
        shutdown: Shutdown,
        leash: Leash,
    ) -> Self {
        Self { reader, seat, form, timeout, shutdown, leash }
    }
}

impl<'r> Responder<'r, 'r> for RoomStream {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'r> {
        let Self { mut reader, seat, form, timeout, mut shutdown, mut leash } = self;
        let begun = Instant::now();
        let end = begun + timeout;
        let stream = stream! {
            // Taken until the connection is gone, not only until the reader lost its place in the room.
            let _held = seat;
            loop {
                let quiet_until = Instant::now() + begun.elapsed().clamp(FIRST_HEARTBEAT, HEARTBEAT);
                let text = tokio::select! {
                    lines = reader.next() => match lines {
                        Some(lines) => form.write(&lines),
                        None => return,
                    },
                    _ = sleep_until(end) => return,
                    _ = sleep_until(quiet_until) => form.keep_alive(),
                    _ = &mut shutdown => return,
                    _ = &mut leash => return,
                };
                yield text;
            }
        };
        let mut response = ByteStream(Box::pin(stream)).respond_to(request)?;
        let media = match form {
            Form::Lines => LINES,
            Form::Events => EVENTS,
        };
        response.set_raw_header("Content-Type", media);
        // For nginx, which would collect what is to be read at once.
        response.set_raw_header("X-Accel-Buffering", "no");
        Ok(response)
    }
}
