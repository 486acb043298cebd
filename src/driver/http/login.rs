//! Signing in for one token: by address, by name, or as nobody.

use flow_domain::users::{SignedIn, User};
use flow_domain::{Error, Fault};
use rocket::http::Method;
use rocket::{State, post, routes};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::body::MaybeJsonBody;
use super::visitor::Visitor;
use super::{Answer, Handled, Operation, Resource, Services};

/// `email` and `password`; `username` and `password`; `username` alone, for a temporary user; or nothing, for an
/// anonymous one.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-rules" = {"anyOf": doors()}))]
struct Login {
    email: Option<String>,
    /// 1 to 32 ASCII letters, digits, `.`, `_` and `-`; compared without case.
    #[schemars(extend("x-rules" = {"pattern": "^[A-Za-z0-9._-]{1,32}$"}))]
    username: Option<String>,
    /// At most 71 bytes. With a username that nobody has, the new account's: 8 characters or more, and none that
    /// everybody tries first.
    #[schemars(extend("format" = "password", "writeOnly" = true, "x-rules" = {"maxLength": 71}))]
    password: Option<String>,
}

/// Which of the fields go together.
fn doors() -> Value {
    let (given, absent) = (json!({"type": "string"}), json!({"type": "null"}));
    let door = |title: &str, required: &[&str]| {
        let field = |name: &str| if required.contains(&name) { given.clone() } else { absent.clone() };
        let [email, username, password] = ["email", "username", "password"].map(field);
        let fields = json!({"email": email, "username": username, "password": password});
        json!({"title": title, "required": required, "properties": fields})
    };
    json!([
        door("With an address", &["email", "password"]),
        door("With a name, which is signed up if it is new", &["username", "password"]),
        door("With a name of one's own for a while", &["username"]),
        door("As nobody", &[]),
    ])
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
        routes: routes![login, token],
        operations: vec![
            Operation::new(
                Method::Post,
                "/login",
                "Sign in, sign up, take a temporary name, or come as nobody",
            )
            .maybe_body::<Login>()
            .answers::<LoginAnswer>(200, "Signed in")
            .problem(401, &["auth.refused", "auth.name_taken"])
            .problem(429, &["auth.too_many_attempts"])
            .problem(503, &["auth.busy"]),
            Operation::new(Method::Post, "/token", "A token for nobody in particular, good for rooms")
                .answers::<LoginAnswer>(200, "Here it is"),
        ],
    }
}

#[post("/login", data = "<body>")]
async fn login(services: &State<Services>, from: Visitor, body: MaybeJsonBody<Login>) -> Handled {
    let doors = &services.identity.sign_in;
    let Login { email, username, password } = body.0.unwrap_or_default();
    let address = from.0.address;
    let (door, signed_in) = match (email, username, password) {
        (Some(email), None, Some(password)) => ("email", doors.by_email(&email, &password, address).await?),
        (None, Some(name), Some(password)) => ("name", doors.by_name(&name, &password, address).await?),
        (None, Some(name), None) => ("temporary", doors.by_name_alone(&name, address).await?),
        // Nobody in particular: there is nothing to tell of them.
        (None, None, None) => return answer(doors.anonymous()?),
        (Some(_), Some(_), _) => {
            return unfit("/username", "Give an e-mail address or a username, not both.");
        }
        (Some(_), None, None) => return unfit("/password", "This field is required."),
        (None, None, Some(_)) => return unfit("/email", "A password needs an e-mail address or a username."),
    };
    services.openid.journal.record(signed_in.user.id, door, &from.0).await?;
    answer(signed_in)
}

#[post("/token")]
fn token(services: &State<Services>) -> Handled {
    answer(services.identity.sign_in.anonymous()?)
}

fn answer(signed_in: SignedIn) -> Handled {
    Answer::ok(&LoginAnswer {
        token: signed_in.token,
        token_type: "Bearer",
        expires_in: signed_in.expires_in_s,
        user: signed_in.user,
    })
}

fn unfit(pointer: &str, detail: &str) -> Handled {
    let fault = Fault::new(pointer, "body.invalid", detail);
    Err(Error::invalid("body.invalid", "The body does not fit.", vec![fault]).into())
}
