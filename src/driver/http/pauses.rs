//! Pausing flows, or all of them, and going on.

use flow_domain::flows::gate::{Gate, PauseCard};
use flow_domain::users::Role;
use rocket::http::Method;
use rocket::{State, get, post, routes};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::body::MaybeJsonBody;
use super::guards::Operator;
use super::query::Query;
use super::{Answer, Handled, Operation, Resource, Services};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PauseFlows {
    /// Why, for whoever asks what a run waits for; at most 500 characters.
    #[serde(default)]
    #[schemars(extend("x-rules" = {"maxLength": 500}))]
    reason: Option<String>,
}

/// A pause that stands.
#[derive(Serialize, JsonSchema)]
struct Standing {
    #[serde(flatten)]
    pause: PauseCard,
    /// Runs behind it that a process still works on; at 0 nothing is under way any more.
    under_way: i64,
}

#[derive(Serialize, JsonSchema)]
struct PauseList {
    data: Vec<Standing>,
}

#[derive(Serialize, JsonSchema)]
struct Resumed {
    /// False: there was no pause.
    resumed: bool,
}

pub(super) fn resource() -> Resource {
    let pause = |path, summary| {
        Operation::new(Method::Post, path, summary)
            .role(Role::Operator)
            .maybe_body::<PauseFlows>()
            .answers::<PauseCard>(200, "The pause that stands; one that stood before is left as it is")
            .problem(422, &["pause.reason_invalid"])
    };
    let resume = |path, summary| {
        Operation::new(Method::Post, path, summary)
            .role(Role::Operator)
            .answers::<Resumed>(200, "Runs that waited for it go on")
    };
    Resource {
        routes: routes![list, pause_flow, resume_flow, pause_all, resume_all],
        operations: vec![
            Operation::new(
                Method::Get,
                "/flow-manager/pauses",
                "What is paused, and what still goes on there",
            )
            .role(Role::Operator)
            .answers::<PauseList>(200, "The oldest first"),
            pause(
                "/flow-manager/flows/{name}/pause",
                "Start no new step of a flow's runs; running steps end",
            )
            .problem(404, &["flow.unknown"]),
            resume("/flow-manager/flows/{name}/resume", "Go on with a flow").problem(404, &["flow.unknown"]),
            pause("/flow-manager/pause", "Start no new step of any run; running steps end"),
            resume("/flow-manager/resume", "Go on"),
        ],
    }
}

#[get("/flow-manager/pauses")]
async fn list(services: &State<Services>, _caller: Operator, query: Query) -> Handled {
    query.only(&[])?;
    let standing = |(pause, under_way)| Standing { pause: PauseCard::from(pause), under_way };
    Answer::ok(&PauseList { data: services.flows.pauses().await?.into_iter().map(standing).collect() })
}

#[post("/flow-manager/flows/<name>/pause", data = "<body>")]
async fn pause_flow(
    services: &State<Services>,
    caller: Operator,
    name: &str,
    query: Query,
    body: MaybeJsonBody<PauseFlows>,
) -> Handled {
    query.only(&[])?;
    pause(services, &caller, Gate::Flow(name.to_owned()), body).await
}

#[post("/flow-manager/pause", data = "<body>")]
async fn pause_all(
    services: &State<Services>,
    caller: Operator,
    query: Query,
    body: MaybeJsonBody<PauseFlows>,
) -> Handled {
    query.only(&[])?;
    pause(services, &caller, Gate::Service, body).await
}

async fn pause(
    services: &Services,
    caller: &Operator,
    gate: Gate,
    body: MaybeJsonBody<PauseFlows>,
) -> Handled {
    let reason = body.0.and_then(|body| body.reason);
    Answer::ok(&PauseCard::from(services.flows.pause(caller, gate, reason).await?))
}

#[post("/flow-manager/flows/<name>/resume")]
async fn resume_flow(services: &State<Services>, caller: Operator, name: &str, query: Query) -> Handled {
    query.only(&[])?;
    resume(services, &caller, &Gate::Flow(name.to_owned())).await
}

#[post("/flow-manager/resume")]
async fn resume_all(services: &State<Services>, caller: Operator, query: Query) -> Handled {
    query.only(&[])?;
    resume(services, &caller, &Gate::Service).await
}

async fn resume(services: &Services, caller: &Operator, gate: &Gate) -> Handled {
    Answer::ok(&Resumed { resumed: services.flows.resume(caller, gate).await? })
}
