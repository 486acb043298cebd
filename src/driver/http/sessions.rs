//! Lab sessions, by their id.

use flow_domain::labs::{SessionFilter, SessionStatus, is_lab_name};
use flow_domain::users::Role;
use flow_domain::{Error, RunId, SessionId, UserId};
use rocket::http::Method;
use rocket::{State, get, routes};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::guards::{Learner, Operator};
use super::lab_view::{AttemptView, EvidenceView, ListedView};
use super::query::Query;
use super::{Answer, Handled, Operation, Resource, Services};

const DEFAULT_LIMIT: i64 = 50;
const MAX_LIMIT: i64 = 200;

#[derive(Serialize, JsonSchema)]
struct SessionList {
    data: Vec<ListedView>,
    /// Given back as `cursor`; none at the end.
    next_cursor: Option<SessionId>,
}

#[derive(Serialize, JsonSchema)]
struct AttemptList<'a> {
    data: Vec<AttemptView<'a>>,
}

#[derive(Serialize, JsonSchema)]
struct EvidenceList<'a> {
    data: Vec<EvidenceView<'a>>,
}

pub(super) fn resource() -> Resource {
    Resource {
        routes: routes![list, one, attempts, evidence],
        operations: vec![
            Operation::new(Method::Get, "/sessions", "Lab sessions, newest first")
                .role(Role::Learner)
                .query("lab", "Only sessions of this lab", json!({"type": "string"}))
                .query("user", "Only this user's", json!({"type": "string", "format": "uuid"}))
                .query(
                    "status",
                    "Only sessions of this status",
                    json!({"enum": SessionStatus::ALL.map(SessionStatus::as_str)}),
                )
                .paged(MAX_LIMIT)
                .answers::<SessionList>(200, "Your own; operators see everybody's")
                .problem(400, &["query.invalid"]),
            Operation::new(Method::Get, "/sessions/{id}", "A lab session, open or over")
                .role(Role::Learner)
                .answers::<ListedView>(200, "As it is now")
                .problem(404, &["session.unknown"]),
            Operation::new(Method::Get, "/sessions/{id}/attempts", "Graded attempts of a session")
                .role(Role::Learner)
                .answers::<AttemptList>(200, "In their order")
                .problem(404, &["session.unknown"]),
            Operation::new(Method::Get, "/sessions/{id}/evidence", "What a session's graders left")
                .role(Role::Operator)
                .query(
                    "run",
                    "Only what the grader of this run left",
                    json!({"type": "string", "format": "uuid"}),
                )
                .answers::<EvidenceList>(200, "In its order, hidden tests and faulty graders too")
                .problem(404, &["session.unknown"]),
        ],
    }
}

/// An id that is none is the id of nothing.
pub(super) fn session_id(text: &str) -> Result<SessionId, Error> {
    SessionId::parse(text).ok_or_else(|| Error::not_found("session.unknown", "There is no such session."))
}

#[get("/sessions")]
async fn list(services: &State<Services>, caller: Learner, query: Query) -> Handled {
    query.only(&["lab", "user", "status", "limit", "cursor"])?;
    let limit = query.number("limit", 1..=MAX_LIMIT)?.unwrap_or(DEFAULT_LIMIT) as usize;
    let states = SessionStatus::ALL.map(SessionStatus::as_str).join(", ");
    let lab = |name: &str| is_lab_name(name).then(|| name.to_owned());
    let filter = SessionFilter {
        id: None,
        lab: query.parsed("lab", "a lab's name", lab)?,
        user: query.parsed("user", "a user's id", UserId::parse)?,
        status: query.parsed("status", &format!("one of {states}"), SessionStatus::parse)?,
        before: query.parsed("cursor", "a `next_cursor` of an earlier answer", SessionId::parse)?,
        limit: limit + 1,
    };
    let mut sessions = services.labs.sessions(&caller, filter).await?;
    let more = sessions.len() > limit;
    sessions.truncate(limit);
    let next_cursor = sessions.last().filter(|_| more).map(|listed| listed.session.id);
    Answer::ok(&SessionList { data: sessions.iter().map(ListedView::new).collect(), next_cursor })
}

#[get("/sessions/<id>")]
async fn one(services: &State<Services>, caller: Learner, id: &str, query: Query) -> Handled {
    query.only(&[])?;
    let listed = services.labs.listed(&caller, session_id(id)?).await?;
    services.labs.touch(&caller, &listed.session).await?;
    Answer::ok(&ListedView::new(&listed))
}

#[get("/sessions/<id>/attempts")]
async fn attempts(services: &State<Services>, caller: Learner, id: &str, query: Query) -> Handled {
    query.only(&[])?;
    services.labs.touch_by_id(&caller, session_id(id)?).await?;
    let (grades, counting) = services.labs.attempts(&caller, session_id(id)?).await?;
    Answer::ok(&AttemptList { data: AttemptView::list(&grades, counting) })
}

#[get("/sessions/<id>/evidence")]
async fn evidence(services: &State<Services>, caller: Operator, id: &str, query: Query) -> Handled {
    query.only(&["run"])?;
    let run = query.parsed("run", "a run's id", RunId::parse)?;
    let kept = services.labs.evidence(&caller, session_id(id)?, run).await?;
    Answer::ok(&EvidenceList { data: kept.iter().map(EvidenceView::new).collect() })
}
