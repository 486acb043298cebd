//! Labs: what there is, and launching, handing in, finishing and resetting.

use std::time::Duration;

use flow_domain::flows::Started;
use flow_domain::labs::Moved;
use flow_domain::users::Role;
use rocket::http::Method;
use rocket::{State, get, post, routes};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::body::MaybeJsonBody;
use super::flow_manager::answer;
use super::guards::Learner;
use super::idempotency::IdempotencyKey;
use super::lab_view::{LabView, SessionView};
use super::prefer::Prefer;
use super::query::Query;
use super::run_view::RunView;
use super::traced::Traced;
use super::{Answer, Handled, Operation, Resource, Services};

/// A lab takes its time: who says nothing is answered at once.
const DEFAULT_WAIT_S: u64 = 0;

#[derive(Serialize, JsonSchema)]
struct LabList<'a> {
    data: Vec<LabView<'a>>,
}

/// Nothing is to be said; a body of `{}` is as good as none.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SubmitLab {
    /// What the learner hands in, as the lab asks for it.
    #[serde(default)]
    pub(super) answers: Option<Map<String, Value>>,
}

pub(super) fn resource() -> Resource {
    Resource {
        routes: routes![list, one, launch, submit, finish, reset, session],
        operations: vec![
            Operation::new(Method::Get, "/labs", "Labs that you may use, with your sessions and best scores")
                .role(Role::Learner)
                .answers::<LabList>(200, "In the order of their names"),
            Operation::new(Method::Get, "/labs/{lab}", "A lab with its tutorial")
                .role(Role::Learner)
                .answers::<LabView>(200, "With your session, if one is open")
                .problem(403, &["lab.forbidden"])
                .problem(404, &["lab.unknown"]),
            moves("/labs/{lab}/launch", "Build a lab for you; the run that did, if it is built already")
                .maybe_body::<Nothing>()
                .problem(403, &["lab.forbidden", "flow.forbidden"])
                .problem(404, &["lab.unknown"])
                .problem(409, &["session.finishing", "session.dirty", "session.elsewhere", "machines.none"]),
            moves("/labs/{lab}/submit", "Have your work graded")
                .takes_header(
                    "Idempotency-Key",
                    "The same key with the same body gives the same run, for 24 hours",
                )
                .maybe_body::<SubmitLab>()
                .problem(400, &["idempotency.key_invalid"])
                .problem(403, &["flow.forbidden"])
                .problem(404, &["lab.unknown", "session.none"])
                .problem(409, &["session.not_ready"])
                .problem(422, &["answers.invalid", "idempotency.key_reused"]),
            moves("/labs/{lab}/finish", "Take your lab down; a launch under way is cancelled first")
                .maybe_body::<Nothing>()
                .problem(403, &["flow.forbidden"])
                .problem(404, &["lab.unknown", "session.none"]),
            moves("/labs/{lab}/reset", "Take your lab down and build it anew, as a new session")
                .maybe_body::<Nothing>()
                .problem(403, &["lab.forbidden", "flow.forbidden"])
                .problem(404, &["lab.unknown", "session.none"])
                .problem(409, &["session.finishing", "machines.none"]),
            Operation::new(Method::Get, "/labs/{lab}/session", "Your open session of a lab")
                .role(Role::Learner)
                .answers::<SessionView>(200, "As it is now")
                .problem(404, &["lab.unknown", "session.none"]),
        ],
    }
}

/// An operation that answers a run.
pub(super) fn moves(path: &'static str, summary: &'static str) -> Operation {
    Operation::new(Method::Post, path, summary)
        .role(Role::Learner)
        .takes_header("Prefer", "`wait=N`, 0 to 300 seconds; not at all when left out")
        .answers::<RunView>(202, "The run goes on; look at `Location` later")
        .header("Location", "The run's address")
        .header("Retry-After", "In seconds")
        .header("Preference-Applied", "What became of `Prefer`")
        .answers::<RunView>(200, "The run is over, whatever its status")
}

#[get("/labs")]
async fn list(services: &State<Services>, caller: Learner, query: Query) -> Handled {
    query.only(&[])?;
    let cards = services.labs.cards(&caller).await?;
    Answer::ok(&LabList { data: cards.iter().map(LabView::new).collect() })
}

#[get("/labs/<lab>")]
async fn one(services: &State<Services>, caller: Learner, lab: &str, query: Query) -> Handled {
    query.only(&[])?;
    let card = services.labs.card(&caller, lab).await?;
    let steps = match &card.session {
        Some(session) => services.labs.steps(session).await?,
        None => vec![],
    };
    Answer::ok(&LabView::with_tutorial(&card, &steps))
}

#[post("/labs/<lab>/launch", data = "<_body>")]
async fn launch(
    services: &State<Services>,
    caller: Learner,
    lab: &str,
    prefer: Prefer,
    traced: Traced,
    query: Query,
    _body: MaybeJsonBody<Nothing>,
) -> Handled {
    query.only(&[])?;
    waited(services, traced.of(services.labs.launch(&caller, lab)).await?, prefer).await
}

#[post("/labs/<lab>/submit", data = "<body>")]
#[allow(clippy::too_many_arguments, reason = "each is a guard of the request")]
async fn submit(
    services: &State<Services>,
    caller: Learner,
    lab: &str,
    prefer: Prefer,
    traced: Traced,
    key: IdempotencyKey,
    query: Query,
    body: MaybeJsonBody<SubmitLab>,
) -> Handled {
    query.only(&[])?;
    let answers = body.0.and_then(|body| body.answers).map(Value::Object);
    let idempotency = key.of(&caller, format!("POST /labs/{lab}/submit"), &json!([answers]));
    services.labs.touch_by_name(&caller, lab).await?;
    waited(services, traced.of(services.labs.submit(&caller, lab, answers, idempotency)).await?, prefer).await
}

#[post("/labs/<lab>/finish", data = "<_body>")]
async fn finish(
    services: &State<Services>,
    caller: Learner,
    lab: &str,
    prefer: Prefer,
    traced: Traced,
    query: Query,
    _body: MaybeJsonBody<Nothing>,
) -> Handled {
    query.only(&[])?;
    waited(services, traced.of(services.labs.end(&caller, lab, Moved::Finish)).await?, prefer).await
}

#[post("/labs/<lab>/reset", data = "<_body>")]
async fn reset(
    services: &State<Services>,
    caller: Learner,
    lab: &str,
    prefer: Prefer,
    traced: Traced,
    query: Query,
    _body: MaybeJsonBody<Nothing>,
) -> Handled {
    query.only(&[])?;
    waited(services, traced.of(services.labs.end(&caller, lab, Moved::Reset)).await?, prefer).await
}

#[get("/labs/<lab>/session")]
async fn session(services: &State<Services>, caller: Learner, lab: &str, query: Query) -> Handled {
    query.only(&[])?;
    let session = services.labs.open(&caller, lab).await?;
    services.labs.touch(&caller, &session).await?;
    Answer::ok(&SessionView::new(&session))
}

pub(super) async fn waited(services: &Services, started: Started, prefer: Prefer) -> Handled {
    let wait = Duration::from_secs(prefer.wait_s(DEFAULT_WAIT_S));
    let run = services.flows.wait(started, wait).await?;
    answer(&run, prefer, DEFAULT_WAIT_S)
}
