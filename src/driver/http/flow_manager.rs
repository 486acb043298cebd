//! Starting flows, and what can be started.

use std::time::Duration;

use flow_domain::flows::Definition;
use flow_domain::flows::engine::FlowPlan;
use flow_domain::flows::gate::PauseCard;
use flow_domain::flows::run::Run;
use flow_domain::users::Role;
use rocket::http::{Method, Status};
use rocket::{State, get, post, routes};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::body::JsonBody;
use super::guards::Learner;
use super::idempotency::IdempotencyKey;
use super::prefer::{DEFAULT_WAIT_S, Prefer};
use super::query::Query;
use super::run_view::{RunView, path_of};
use super::traced::Traced;
use super::{Answer, Handled, Operation, Resource, Services};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct StartFlow {
    /// A flow's name, or a definition.
    flow: FlowReference,
    /// As the flow's input schema says.
    #[serde(default)]
    input: Map<String, Value>,
}

/// A string or an object; what is in the object is checked with the definition, so that every fault is listed.
#[derive(Deserialize)]
#[serde(transparent)]
struct FlowReference(Value);

impl JsonSchema for FlowReference {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "FlowReference".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let name = json!({"type": "string", "minLength": 1, "maxLength": 200});
        let either = json!([name, generator.subschema_for::<Definition>()]);
        schemars::json_schema!({"type": ["string", "object"], "x-rules": {"type": null, "anyOf": either}})
    }
}

/// `POST /flow-manager` answers the one, or with `plan=true` the other.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[allow(dead_code, reason = "a schema for the API page")]
enum RunOrPlan<'a> {
    Run(Box<RunView<'a>>),
    Plan(FlowPlan),
}

/// A flow that can be started by its name.
#[derive(Serialize, JsonSchema)]
struct FlowCard {
    name: String,
    description: Option<String>,
    /// JSON Schema of the input.
    input: Value,
    tasks: Vec<Value>,
    /// So many of its runs go on at once; none: any number.
    at_once: Option<u32>,
    /// Its own pause, if it is paused.
    paused: Option<PauseCard>,
}

/// A task that flows can chain.
#[derive(Serialize, JsonSchema)]
struct TaskCard {
    name: &'static str,
    description: &'static str,
    effect: Value,
    undoable: bool,
    timeout_s: f64,
    attempts: u32,
    /// JSON Schemas.
    input: Value,
    output: Value,
}

#[derive(Serialize, JsonSchema)]
struct Cards<T> {
    data: Vec<T>,
}

pub(super) fn resource() -> Resource {
    Resource {
        routes: routes![start, flows, tasks],
        operations: vec![
            Operation::new(
                Method::Post,
                "/flow-manager",
                "Start a flow and wait for its end, up to `Prefer: wait`",
            )
            .role(Role::Learner)
            .takes_header(
                "Prefer",
                "`wait=N`, 0 to 300 seconds, or `respond-async`; 30 seconds when left out",
            )
            .takes_header(
                "Idempotency-Key",
                "The same key with the same body gives the same run, for 24 hours",
            )
            .takes_header("traceparent", "W3C Trace Context: kept with the run, given to its child programs")
            .body::<StartFlow>()
            .query(
                "plan",
                "Answer what would happen and start nothing",
                json!({"type": "boolean", "default": false}),
            )
            .answers::<RunOrPlan>(200, "The run is over, whatever its status; or the plan")
            .header("Preference-Applied", "What became of `Prefer`")
            .answers::<RunView>(202, "The run goes on; look at `Location` later")
            .header("Location", "The run's address")
            .header("Retry-After", "In seconds")
            .problem(400, &["idempotency.key_invalid"])
            .problem(403, &["flow.forbidden", "flow.definition_forbidden"])
            .problem(422, &["flow.unknown", "flow.invalid", "flow.input_invalid", "idempotency.key_reused"]),
            Operation::new(Method::Get, "/flow-manager/flows", "Flows that you may start by name")
                .role(Role::Learner)
                .answers::<Cards<FlowCard>>(200, "In the order of their names"),
            Operation::new(
                Method::Get,
                "/flow-manager/tasks",
                "Tasks that flows can chain, with their schemas",
            )
            .role(Role::Learner)
            .answers::<Cards<TaskCard>>(200, "In the order of their names"),
        ],
    }
}

#[post("/flow-manager", data = "<body>")]
async fn start(
    services: &State<Services>,
    caller: Learner,
    prefer: Prefer,
    key: IdempotencyKey,
    traced: Traced,
    query: Query,
    body: JsonBody<StartFlow>,
) -> Handled {
    query.only(&["plan"])?;
    let StartFlow { flow, input } = body.0;
    let input = Value::Object(input);
    if query.flag("plan")? {
        return Answer::ok(&services.flows.plan(&caller, flow.0, &input).await?);
    }
    let idempotency = key.of(&caller, "POST /flow-manager".to_owned(), &json!([flow.0, input]));
    let started = traced.of(services.flows.start(&caller, flow.0, input, idempotency)).await?;
    let wait = Duration::from_secs(prefer.wait_s(DEFAULT_WAIT_S));
    let run = services.flows.wait(started, wait).await?;
    answer(&run, prefer, DEFAULT_WAIT_S)
}

/// A run that is over is 200 whatever its status; one that goes on is 202 with its address.
pub(super) fn answer(run: &Run, prefer: Prefer, default_wait_s: u64) -> Handled {
    let view = RunView::new(run);
    let answer = if run.head.status.is_final() {
        Answer::ok(&view)?
    } else {
        Answer::json(Status::Accepted, &view)?.header("Location", path_of(run.id)).header("Retry-After", "1")
    };
    Ok(answer.header("Preference-Applied", prefer.applied(default_wait_s)))
}

#[get("/flow-manager/flows")]
fn flows(services: &State<Services>, caller: Learner, query: Query) -> Handled {
    query.only(&[])?;
    let card = |definition: &Definition| FlowCard {
        name: definition.name.clone(),
        description: definition.description.clone(),
        input: definition.input.clone().unwrap_or_else(|| json!({"type": "object"})),
        tasks: definition
            .tasks
            .iter()
            .map(|step| json!({"name": step.name, "task": step.task_name(), "description": step.description}))
            .collect(),
        at_once: definition.at_once,
        paused: services.flows.pause_of(&definition.name).map(PauseCard::from),
    };
    let flows = services.flows.catalogue().iter().map(|flow| &flow.definition);
    Answer::ok(&Cards {
        data: flows.filter(|flow| flow.allows(caller.role)).map(|flow| card(flow)).collect(),
    })
}

#[get("/flow-manager/tasks")]
fn tasks(services: &State<Services>, _caller: Learner, query: Query) -> Handled {
    query.only(&[])?;
    let cards = services.flows.registry().iter().map(|(name, registered)| {
        let (task, policy) = (&registered.task, registered.task.policy());
        TaskCard {
            name,
            description: task.description(),
            effect: json!(task.effect()),
            undoable: task.undoable(),
            timeout_s: policy.timeout.as_secs_f64(),
            attempts: policy.attempts,
            input: registered.input_schema.clone(),
            output: registered.output_schema.clone(),
        }
    });
    Answer::ok(&Cards { data: cards.collect() })
}
