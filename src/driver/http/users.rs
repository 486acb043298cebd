//! Accounts, for admins.

use flow_domain::users::{Account, Role, User};
use flow_domain::{Error, UserId};
use rocket::http::Method;
use rocket::{State, get, post, routes};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::body::JsonBody;
use super::guards::Admin;
use super::query::Query;
use super::{Answer, Handled, Operation, Resource, Services};

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;

#[derive(Serialize, JsonSchema)]
struct AccountView {
    #[serde(flatten)]
    user: User,
    disabled: bool,
}

#[derive(Serialize, JsonSchema)]
struct Accounts {
    /// By age, the oldest first; temporary users are not among them.
    data: Vec<AccountView>,
    /// Give it back as `cursor` for the next page; null on the last.
    next_cursor: Option<UserId>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewRole {
    role: Given,
}

/// Roles that an account can have.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum Given {
    Learner,
    Operator,
    Admin,
}

impl From<Given> for Role {
    fn from(role: Given) -> Self {
        match role {
            Given::Learner => Self::Learner,
            Given::Operator => Self::Operator,
            Given::Admin => Self::Admin,
        }
    }
}

pub(super) fn resource() -> Resource {
    let change = |path, summary| {
        Operation::new(Method::Post, path, summary)
            .role(Role::Admin)
            .answers::<AccountView>(200, "The account as it is now")
            .problem(404, &["user.unknown"])
    };
    Resource {
        routes: routes![list, disable, enable, set_role],
        operations: vec![
            Operation::new(Method::Get, "/users", "All accounts")
                .role(Role::Admin)
                .paged(MAX_LIMIT)
                .answers::<Accounts>(200, "A page of them"),
            change("/users/{id}/disable", "Close an account and end its tokens")
                .problem(409, &["user.self_disable"]),
            change("/users/{id}/enable", "Open an account again"),
            change("/users/{id}/role", "Give a role and end the account's tokens")
                .body::<NewRole>()
                .problem(409, &["user.self_role"]),
        ],
    }
}

#[get("/users")]
async fn list(services: &State<Services>, _admin: Admin, query: Query) -> Handled {
    query.only(&["limit", "cursor"])?;
    let limit = query.number("limit", 1..=MAX_LIMIT.into())?;
    let limit = limit.and_then(|limit| u32::try_from(limit).ok()).unwrap_or(DEFAULT_LIMIT);
    let after = query.parsed("cursor", "the `next_cursor` of an answer", UserId::parse)?;
    // One more than asked for tells whether there is another page.
    let mut accounts = services.identity.accounts.list(after, limit + 1).await?;
    let more = accounts.len() > limit as usize;
    accounts.truncate(limit as usize);
    let next_cursor = accounts.last().filter(|_| more).map(|account| account.user.id);
    Answer::ok(&Accounts { data: accounts.into_iter().map(view).collect(), next_cursor })
}

#[post("/users/<id>/disable")]
async fn disable(services: &State<Services>, admin: Admin, id: &str) -> Handled {
    changed(services.identity.accounts.disable(Some(&admin), of(id)?).await?)
}

#[post("/users/<id>/enable")]
async fn enable(services: &State<Services>, admin: Admin, id: &str) -> Handled {
    changed(services.identity.accounts.enable(Some(&admin), of(id)?).await?)
}

#[post("/users/<id>/role", data = "<body>")]
async fn set_role(services: &State<Services>, admin: Admin, id: &str, body: JsonBody<NewRole>) -> Handled {
    changed(services.identity.accounts.set_role(Some(&admin), of(id)?, body.0.role.into()).await?)
}

fn changed(account: Account) -> Handled {
    Answer::ok(&view(account))
}

fn view(account: Account) -> AccountView {
    AccountView { user: account.user, disabled: account.disabled }
}

/// What is no id is nobody's.
fn of(id: &str) -> Result<UserId, Error> {
    UserId::parse(id).ok_or_else(|| Error::not_found("user.unknown", "There is no such user."))
}
