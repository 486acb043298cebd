//! Lab sessions, by their id.

use flow_domain::users::Role;
use flow_domain::{Error, RunId, SessionId};
use rocket::http::Method;
use rocket::{State, get, routes};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::guards::{Learner, Operator};
use super::lab_view::{AttemptView, EvidenceView, SessionView};
use super::query::Query;
use super::{Answer, Handled, Operation, Resource, Services};

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
        routes: routes![one, attempts, evidence],
        operations: vec![
            Operation::new(Method::Get, "/sessions/{id}", "A lab session, open or over")
                .role(Role::Learner)
                .answers::<SessionView>(200, "As it is now")
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

#[get("/sessions/<id>")]
async fn one(services: &State<Services>, caller: Learner, id: &str, query: Query) -> Handled {
    query.only(&[])?;
    let session = services.labs.session(&caller, session_id(id)?).await?;
    services.labs.touch(&caller, &session).await?;
    Answer::ok(&SessionView::new(&session))
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
