//! Signing in.

use flow_domain::users::User;
use rocket::http::Method;
use rocket::{State, post, routes};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::body::JsonBody;
use super::{Answer, Handled, Operation, Resource, Services};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Login {
    email: String,
    #[schemars(extend("format" = "password", "writeOnly" = true))]
    password: String,
}

#[derive(Serialize, JsonSchema)]
struct LoginAnswer {
    /// Sent back as `Authorization: Bearer TOKEN`.
    token: String,
    /// Always `Bearer`.
    token_type: &'static str,
    /// In seconds.
    expires_in: u64,
    user: User,
}

pub(super) fn resource() -> Resource {
    Resource {
        routes: routes![login],
        operations: vec![
            Operation::new(Method::Post, "/login", "Sign in with e-mail address and password")
                .body::<Login>()
                .answers::<LoginAnswer>(200, "Signed in")
                .problem(401, &["auth.refused"])
                .problem(503, &["auth.busy"]),
        ],
    }
}

#[post("/login", data = "<body>")]
async fn login(services: &State<Services>, body: JsonBody<Login>) -> Handled {
    let Login { email, password } = body.0;
    let signed_in = services.sign_in.login(&email, &password).await?;
    Answer::ok(&LoginAnswer {
        token: signed_in.token,
        token_type: "Bearer",
        expires_in: signed_in.expires_in_s,
        user: signed_in.user,
    })
}
