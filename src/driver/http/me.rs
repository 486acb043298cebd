//! One's own account.

use flow_domain::users::{Role, User};
use flow_domain::{Error, Kind};
use rocket::http::Method;
use rocket::{State, get, routes};

use super::guards::Caller;
use super::{Answer, Handled, Operation, Resource, Services};

pub(super) fn resource() -> Resource {
    Resource {
        routes: routes![me],
        operations: vec![
            Operation::new(Method::Get, "/me", "Your own account")
                .role(Role::Anonymous)
                .answers::<User>(200, "The account behind the token")
                .problem(401, &["auth.account_gone"]),
        ],
    }
}

/// A token outlives its account by an hour at most; here it shows.
#[get("/me")]
async fn me(services: &State<Services>, caller: Caller) -> Handled {
    match services.users.by_id(caller.id).await? {
        Some(account) if !account.disabled => Answer::ok(&account.user),
        _ => Err(Error::new(Kind::Unauthenticated, "auth.account_gone", "This account is no longer in use.")
            .into()),
    }
}
