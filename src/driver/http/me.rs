//! One's own account.

use flow_domain::users::{Role, User};
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

#[get("/me")]
async fn me(services: &State<Services>, caller: Caller) -> Handled {
    Answer::ok(&services.identity.access.user(&caller.0).await?)
}
