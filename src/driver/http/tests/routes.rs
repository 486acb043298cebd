//! A few routes that show what the guards do.

use flow_domain::{Error, RunId};
use rocket::{Route, get, post, routes};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::driver::http::body::{JsonBody, MaybeJsonBody};
use crate::driver::http::guards::{Admin, Learner, Operator};
use crate::driver::http::prefer::Prefer;
use crate::driver::http::query::Query;
use crate::driver::http::{Answer, Handled};

pub(super) fn all() -> Vec<Route> {
    routes![things, thing, make, change, admins, fail, panics]
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Thing {
    name: String,
    #[serde(default)]
    sizes: Vec<u32>,
}

#[get("/things")]
fn things(_caller: Learner, query: Query, prefer: Prefer) -> Handled {
    let query = query.only(&["limit", "name"])?;
    let limit = query.number("limit", 1..=100)?;
    let answer = Answer::ok(&serde_json::json!({"limit": limit, "name": query.text("name")}))?;
    Ok(answer.header("Preference-Applied", prefer.applied(30)))
}

#[get("/things/<id>")]
fn thing(_caller: Learner, id: &str) -> Handled {
    let id = RunId::parse(id).ok_or_else(|| Error::not_found("thing.unknown", "There is no such thing."))?;
    Answer::ok(&id)
}

#[post("/things", data = "<body>")]
fn make(_caller: Operator, body: JsonBody<Thing>) -> Handled {
    Answer::created(&serde_json::json!({"name": body.0.name, "sizes": body.0.sizes}))
}

#[post("/things/<_id>/change", data = "<body>")]
fn change(_caller: Learner, _id: &str, body: MaybeJsonBody<Thing>) -> Handled {
    Answer::accepted(&body.0.map(|thing| thing.name))
}

#[get("/admins")]
fn admins(_caller: Admin) -> Handled {
    Ok(Answer::no_content())
}

#[get("/fail")]
fn fail() -> Handled {
    Err(Error::internal("relation flow_run does not exist").into())
}

#[get("/panics")]
fn panics() -> Handled {
    panic!("on purpose")
}
