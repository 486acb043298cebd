//! While a lab session is open: checking steps of its tutorial, its time, its timeline.

use std::time::Duration;

use flow_domain::SessionId;
use flow_domain::labs::{Entry, Labs};
use flow_domain::users::Role;
use rocket::http::Method;
use rocket::{State, get, post, routes};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::Arc;

use super::body::MaybeJsonBody;
use super::event_stream::{AT_ONCE, EventsOrList, Growing, LOOK_FOR, LastEventId, Written, follow};
use super::guards::Learner;
use super::idempotency::IdempotencyKey;
use super::lab_view::SessionView;
use super::labs::{Nothing, SubmitLab, moves, waited};
use super::leash::leash;
use super::prefer::Prefer;
use super::query::{LARGEST, Query};
use super::sessions::session_id;
use super::{Answer, Handled, Operation, Problem, Resource, Services};

/// Entries in one answer of the long poll.
const MAX_ENTRIES: usize = 1000;

/// A session's timeline, or a part of it.
#[derive(Serialize, JsonSchema)]
struct Timeline {
    /// `{id, type, at, run, step, data}`, in order.
    #[schemars(with = "Vec<Value>")]
    entries: Vec<Entry>,
    /// Given back as `after`.
    after: i64,
    /// The session is over and these were its last entries.
    done: bool,
}

pub(super) fn resource() -> Resource {
    Resource {
        routes: routes![check, extend, timeline],
        operations: vec![
            moves("/sessions/{id}/steps/{n}/check", "Look whether a step of the tutorial is done")
                .takes_header(
                    "Idempotency-Key",
                    "The same key with the same body gives the same run, for 24 hours",
                )
                .maybe_body::<SubmitLab>()
                .problem(400, &["idempotency.key_invalid"])
                .problem(403, &["session.not_yours", "flow.forbidden"])
                .problem(404, &["session.unknown", "step.unknown", "lab.unknown"])
                .problem(409, &["session.not_ready"])
                .problem(422, &["idempotency.key_reused"]),
            Operation::new(Method::Post, "/sessions/{id}/extend", "More time for your session")
                .role(Role::Learner)
                .maybe_body::<Nothing>()
                .answers::<SessionView>(200, "With its new end")
                .problem(403, &["session.not_yours"])
                .problem(404, &["session.unknown"])
                .problem(409, &["session.not_ready", "session.ending", "session.no_extension"]),
            Operation::new(Method::Get, "/sessions/{id}/timeline", "All that happens in a session")
                .role(Role::Learner)
                .query(
                    "after",
                    "Number of the last entry seen",
                    json!({"type": "integer", "minimum": 0, "maximum": LARGEST}),
                )
                .query(
                    "wait",
                    "Seconds to wait for the first entry",
                    json!({"type": "integer", "minimum": 0, "maximum": 300}),
                )
                .takes_header("Last-Event-ID", "Number of the last entry seen, for the stream")
                .answers_with(
                    200,
                    "text/event-stream",
                    "Without `after` and `wait`, until the session is over",
                )
                .answers::<Timeline>(
                    200,
                    "With `after` or `wait` a list, else a stream of server-sent events",
                )
                .problem(400, &["query.invalid"])
                .problem(404, &["session.unknown"])
                .problem(429, &["stream.too_many"])
                .problem(503, &["stream.none_free"]),
        ],
    }
}

#[post("/sessions/<id>/steps/<n>/check", data = "<body>")]
#[expect(clippy::too_many_arguments, reason = "each is a part of the request")]
async fn check(
    services: &State<Services>,
    caller: Learner,
    id: &str,
    n: &str,
    prefer: Prefer,
    key: IdempotencyKey,
    query: Query,
    body: MaybeJsonBody<SubmitLab>,
) -> Handled {
    query.only(&[])?;
    let session = session_id(id)?;
    let answers = body.0.and_then(|body| body.answers).map(Value::Object);
    let scope = format!("POST /sessions/{session}/steps/{n}/check");
    let idempotency = key.of(&caller, scope, &json!([answers]));
    services.labs.touch_by_id(&caller, session).await?;
    let started = services.labs.check_step(&caller, session, n, answers, idempotency).await?;
    waited(services, started, prefer).await
}

#[post("/sessions/<id>/extend", data = "<_body>")]
async fn extend(
    services: &State<Services>,
    caller: Learner,
    id: &str,
    query: Query,
    _body: MaybeJsonBody<Nothing>,
) -> Handled {
    query.only(&[])?;
    Answer::ok(&SessionView::new(&services.labs.extend(&caller, session_id(id)?).await?))
}

/// Watching is not using: a stream that stays open keeps no session alive, opening it does for once.
#[get("/sessions/<id>/timeline")]
async fn timeline(
    services: &State<Services>,
    caller: Learner,
    id: &str,
    query: Query,
    last: LastEventId,
    shutdown: rocket::Shutdown,
) -> Result<EventsOrList, Problem> {
    query.only(&["after", "wait"])?;
    let session = services.labs.session(&caller, session_id(id)?).await?;
    let after = query.number("after", 0..=LARGEST)?;
    let wait = query.number("wait", 0..=300)?;
    services.labs.touch(&caller, &session).await?;
    if after.is_none() && wait.is_none() {
        let (seat, leash) = (services.streams.seat(caller.id)?, leash(services, caller.0));
        let list = OfSession { labs: services.labs.clone(), id: session.id };
        return Ok(EventsOrList::Stream(follow(list, last.0.unwrap_or(0), seat, shutdown, leash)));
    }
    let (after, wait) = (after.unwrap_or(0), Duration::from_secs(wait.unwrap_or(0).unsigned_abs()));
    let _seat = match wait.is_zero() {
        true => None,
        false => Some(services.streams.seat(caller.id)?),
    };
    let (entries, done) = services.labs.timeline(session.id, after, MAX_ENTRIES, wait).await?;
    let after = entries.last().map_or(after, |entry| entry.number);
    Ok(EventsOrList::List(Answer::ok(&Timeline { entries, after, done })?))
}

struct OfSession {
    labs: Arc<Labs>,
    id: SessionId,
}

#[rocket::async_trait]
impl Growing for OfSession {
    fn name(&self) -> String {
        format!("session={}", self.id)
    }

    async fn page(&self, after: i64) -> flow_domain::Result<(Vec<Written>, bool)> {
        let (entries, done) = self.labs.timeline(self.id, after, AT_ONCE, LOOK_FOR).await?;
        let written = |entry: Entry| {
            let data = serde_json::to_string(&entry).ok()?;
            Some(Written { number: entry.number, kind: entry.kind, data })
        };
        Ok((entries.into_iter().filter_map(written).collect(), done))
    }
}
