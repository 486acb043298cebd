//! Machines that should not be there, and machines that should: for operators.

use flow_domain::Error;
use flow_domain::labs::machines::Orphan;
use flow_domain::users::Role;
use rocket::http::Method;
use rocket::{State, get, post, routes};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::body::MaybeJsonBody;
use super::guards::Operator;
use super::labs::Nothing;
use super::query::Query;
use super::{Answer, Handled, Operation, Resource, Services};

#[derive(Serialize, JsonSchema)]
struct OrphanList {
    /// The oldest first.
    data: Vec<Orphan>,
}

pub(super) fn resource() -> Resource {
    Resource {
        routes: routes![list, delete],
        operations: vec![
            Operation::new(Method::Get, "/orphans", "Machines in no state, and machines not in Proxmox")
                .role(Role::Operator)
                .answers::<OrphanList>(200, "As a comparison finds them now")
                .problem(403, &["machines.forbidden"])
                .problem(503, &["machines.unavailable"]),
            Operation::new(Method::Post, "/orphans/{id}/delete", "Remove an orphaned machine")
                .role(Role::Operator)
                .maybe_body::<Nothing>()
                .answers::<Orphan>(200, "It is gone")
                .problem(403, &["machines.forbidden"])
                .problem(404, &["orphan.unknown"])
                .problem(409, &["machines.failed"])
                .problem(503, &["machines.unavailable"]),
        ],
    }
}

#[get("/orphans")]
async fn list(services: &State<Services>, _caller: Operator, query: Query) -> Handled {
    query.only(&[])?;
    Answer::ok(&OrphanList { data: services.orphans.sweep().await? })
}

#[post("/orphans/<id>/delete", data = "<_body>")]
async fn delete(
    services: &State<Services>,
    _caller: Operator,
    id: &str,
    query: Query,
    _body: MaybeJsonBody<Nothing>,
) -> Handled {
    query.only(&[])?;
    let unknown = |_| Error::not_found("orphan.unknown", "There is no such orphan, or not any more.");
    let id = Uuid::parse_str(id).map_err(unknown)?;
    Answer::ok(&services.orphans.delete(id).await?)
}
