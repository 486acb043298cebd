//! Runs: looking at them, following them, ending them.

use std::time::Duration;

use flow_domain::flows::event::Event as RunEvent;
use flow_domain::flows::run::RunStatus;
use flow_domain::flows::store::RunFilter;
use flow_domain::flows::why::Why;
use flow_domain::users::Role;
use flow_domain::{Cancel, Error, RunId, UserId};
use rocket::http::Method;
use rocket::{State, get, post, routes};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::body::MaybeJsonBody;
use super::event_stream::{EventsOrList, OfRun, follow};
use super::guards::{Learner, Operator};
use super::idempotency::IdempotencyKey;
use super::leash::leash;
use super::query::{LARGEST, Query};
use super::run_view::{RunView, path_of};
use super::traced::Traced;
use super::{Answer, Handled, Operation, Problem, Resource, Services};

const DEFAULT_LIMIT: i64 = 50;
const MAX_LIMIT: i64 = 200;
/// Events in one answer of the long poll.
const MAX_EVENTS: usize = 1000;

#[derive(Serialize, JsonSchema)]
struct RunList<'a> {
    data: Vec<RunView<'a>>,
    /// Given back as `cursor`; none at the end.
    next_cursor: Option<RunId>,
}

#[derive(Serialize, JsonSchema)]
struct EventList {
    #[schemars(with = "Vec<serde_json::Value>")]
    events: Vec<RunEvent>,
    /// Given back as `after`.
    after: i64,
    /// The run is over and these were its last events.
    done: bool,
}

pub(super) fn resource() -> Resource {
    let run = "/flow-manager/runs/{id}";
    Resource {
        routes: routes![list, one, events, why, cancel, undo, retry],
        operations: vec![
            Operation::new(Method::Get, "/flow-manager/runs", "Runs, newest first")
                .role(Role::Learner)
                .query(
                    "status",
                    "Only runs of this status",
                    json!({"enum": RunStatus::ALL.map(RunStatus::as_str)}),
                )
                .query("flow", "Only runs of this flow", json!({"type": "string"}))
                .query(
                    "caller",
                    "Only runs that this user started",
                    json!({"type": "string", "format": "uuid"}),
                )
                .paged(MAX_LIMIT)
                .answers::<RunList>(200, "Without their tasks")
                .problem(400, &["query.invalid"]),
            Operation::new(Method::Get, run, "A run")
                .role(Role::Learner)
                .answers::<RunView>(200, "As it is now")
                .problem(404, &["run.unknown"]),
            Operation::new(Method::Get, "/flow-manager/runs/{id}/events", "Follow a run")
                .role(Role::Learner)
                .query(
                    "after",
                    "Number of the last event seen",
                    json!({"type": "integer", "minimum": 0, "maximum": LARGEST}),
                )
                .query(
                    "wait",
                    "Seconds to wait for the first event",
                    json!({"type": "integer", "minimum": 0, "maximum": 300}),
                )
                .takes_header("Last-Event-ID", "Number of the last event seen, for the stream")
                .answers_with(200, "text/event-stream", "Without `after` and `wait`, until the run is over")
                .answers::<EventList>(
                    200,
                    "With `after` or `wait` a list, else a stream of server-sent events",
                )
                .problem(400, &["query.invalid"])
                .problem(404, &["run.unknown"])
                .problem(429, &["stream.too_many"])
                .problem(503, &["stream.none_free"]),
            Operation::new(Method::Get, "/flow-manager/runs/{id}/why", "Why a run is where it is")
                .role(Role::Learner)
                .answers::<Why>(200, "One sentence, and the facts")
                .problem(404, &["run.unknown"]),
            Operation::new(Method::Post, "/flow-manager/runs/{id}/cancel", "Cancel a run")
                .role(Role::Learner)
                .query(
                    "force",
                    "For operators: no grace, and what a dead machine holds is given up",
                    json!({"type": "boolean"}),
                )
                .answers::<RunView>(202, "It will be, once nothing of it is alive and all is taken back")
                .problem(400, &["query.invalid"])
                .problem(403, &["run.force_forbidden"])
                .problem(404, &["run.unknown"])
                .problem(409, &["run.over"]),
            Operation::new(
                Method::Post,
                "/flow-manager/runs/{id}/retry",
                "Start an ended run anew from one of its steps",
            )
            .role(Role::Learner)
            .query("from", "The step's name; where the run failed when left out", json!({"type": "string"}))
            .takes_header(
                "Idempotency-Key",
                "The same key with the same body gives the same run, for 24 hours",
            )
            .maybe_body::<RetryRun>()
            .answers::<RunView>(201, "A new run, linked to the old one")
            .header("Location", "The new run's address")
            .problem(404, &["run.unknown"])
            .problem(
                409,
                &["run.superseded", "run.not_retryable", "retry.never_reached", "retry.undone_before"],
            )
            .problem(422, &["flow.input_invalid", "idempotency.key_reused"]),
            Operation::new(Method::Post, "/flow-manager/runs/{id}/undo", "Take an ended run back")
                .role(Role::Operator)
                .answers::<RunView>(202, "It is being taken back")
                .problem(404, &["run.unknown"])
                .problem(409, &["run.not_undoable", "run.nothing_to_undo", "run.superseded", "run.changed"]),
        ],
    }
}

/// An id that is none is the id of nothing.
pub(super) fn run_id(text: &str) -> Result<RunId, Error> {
    RunId::parse(text).ok_or_else(|| Error::not_found("run.unknown", "There is no such run."))
}

#[get("/flow-manager/runs")]
async fn list(services: &State<Services>, caller: Learner, query: Query) -> Handled {
    query.only(&["status", "flow", "caller", "limit", "cursor"])?;
    let limit = query.number("limit", 1..=MAX_LIMIT)?.unwrap_or(DEFAULT_LIMIT) as usize;
    let states = RunStatus::ALL.map(RunStatus::as_str).join(", ");
    let filter = RunFilter {
        status: query.parsed("status", &format!("one of {states}"), RunStatus::parse)?,
        flow: query.text("flow").map(str::to_owned),
        caller: query.parsed("caller", "a user's id", UserId::parse)?,
        before: query.parsed("cursor", "a `next_cursor` of an earlier answer", RunId::parse)?,
        limit: limit + 1,
    };
    let mut runs = services.flows.runs(&caller, filter).await?;
    let more = runs.len() > limit;
    runs.truncate(limit);
    let next_cursor = runs.last().filter(|_| more).map(|run| run.id);
    Answer::ok(&RunList { data: runs.iter().map(RunView::without_tasks).collect(), next_cursor })
}

#[get("/flow-manager/runs/<id>")]
async fn one(services: &State<Services>, caller: Learner, id: &str, query: Query) -> Handled {
    query.only(&[])?;
    let run = services.flows.run(&caller, run_id(id)?).await?;
    // What steps are given comes from a flow's author, for whom learners need not be the readers.
    let view = if caller.role < Role::Operator { RunView::new(&run) } else { RunView::with_inputs(&run) };
    Answer::ok(&view)
}

#[get("/flow-manager/runs/<id>/events")]
async fn events(
    services: &State<Services>,
    caller: Learner,
    id: &str,
    query: Query,
    last: super::event_stream::LastEventId,
    shutdown: rocket::Shutdown,
) -> Result<EventsOrList, Problem> {
    query.only(&["after", "wait"])?;
    let run = services.flows.run(&caller, run_id(id)?).await?.id;
    let after = query.number("after", 0..=LARGEST)?;
    let wait = query.number("wait", 0..=300)?;
    if after.is_none() && wait.is_none() {
        let (seat, leash) = (services.streams.seat(caller.id)?, leash(services, caller.0));
        let after = last.0.unwrap_or(0);
        let list = OfRun { flows: services.flows.clone(), run };
        return Ok(EventsOrList::Stream(follow(list, after, seat, shutdown, leash)));
    }
    let (after, wait) = (after.unwrap_or(0), Duration::from_secs(wait.unwrap_or(0) as u64));
    // One who waits holds a connection like one who streams.
    let _seat = match wait.is_zero() {
        true => None,
        false => Some(services.streams.seat(caller.id)?),
    };
    let (events, done) = services.flows.events(run, after, MAX_EVENTS, wait).await?;
    let after = events.last().map_or(after, |event| event.number);
    Ok(EventsOrList::List(Answer::ok(&EventList { events, after, done })?))
}

#[get("/flow-manager/runs/<id>/why")]
async fn why(services: &State<Services>, caller: Learner, id: &str, query: Query) -> Handled {
    query.only(&[])?;
    Answer::ok(&services.flows.why(&caller, run_id(id)?).await?)
}

#[post("/flow-manager/runs/<id>/cancel")]
async fn cancel(services: &State<Services>, caller: Learner, id: &str, query: Query) -> Handled {
    let how = if query.only(&["force"])?.flag("force")? { Cancel::Forced } else { Cancel::Orderly };
    Answer::accepted(&RunView::new(&services.flows.cancel(&caller, run_id(id)?, how).await?))
}

#[post("/flow-manager/runs/<id>/undo")]
async fn undo(services: &State<Services>, caller: Operator, id: &str, query: Query) -> Handled {
    query.only(&[])?;
    Answer::accepted(&RunView::new(&services.flows.undo(&caller, run_id(id)?).await?))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RetryRun {
    /// In place of the old run's input; affects the first step and what follows.
    #[serde(default)]
    input: Option<Map<String, Value>>,
}

#[post("/flow-manager/runs/<id>/retry", data = "<body>")]
async fn retry(
    services: &State<Services>,
    caller: Learner,
    id: &str,
    query: Query,
    key: IdempotencyKey,
    traced: Traced,
    body: MaybeJsonBody<RetryRun>,
) -> Handled {
    let from = query.only(&["from"])?.text("from");
    let input = body.0.and_then(|body| body.input).map(Value::Object);
    let id = run_id(id)?;
    let scope = format!("POST {}/retry", path_of(id));
    let idempotency = key.of(&caller, scope, &json!([from, input]));
    let started = traced.of(services.flows.retry(&caller, id, from, input, idempotency)).await?;
    let answer = Answer::created(&RunView::new(&started.run))?;
    Ok(answer.header("Location", path_of(started.run.id)))
}
