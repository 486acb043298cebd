//! Who may call, as a type in the handler's signature.

use std::convert::Infallible;
use std::ops::Deref;

use flow_domain::users::{Caller as Someone, Role, Verified};
use flow_domain::{Error, Kind};
use rocket::http::Status;
use rocket::request::{FromRequest, Outcome, Request};

use super::requests::Exchange;
use super::{Problem, Services};

/// Longer than any token of ours; the rest is refused unread.
const MAX_AUTHORIZATION_BYTES: usize = 4096 + "Bearer ".len();

/// A guard's error. The problem itself waits in the [`Exchange`]; Rocket logs this one, so it says nothing.
#[derive(Debug)]
pub struct Refused;

/// Leaves the problem where the catchers find it.
pub(super) fn refuse(request: &Request<'_>, problem: impl Into<Problem>) -> (Status, Refused) {
    let problem = problem.into();
    let status = problem.status;
    Exchange::of(request).refuse(problem);
    (status, Refused)
}

macro_rules! at_least {
    ($(#[$doc:meta])* $name:ident, $floor:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name(pub Verified);

        impl Deref for $name {
            type Target = Someone;

            fn deref(&self) -> &Someone {
                &self.0.caller
            }
        }

        #[rocket::async_trait]
        impl<'r> FromRequest<'r> for $name {
            type Error = Refused;

            async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Refused> {
                match caller(request, $floor) {
                    Ok(caller) => Outcome::Success(Self(caller)),
                    Err(error) => Outcome::Error(refuse(request, error)),
                }
            }
        }
    };
}

at_least!(
    /// Anyone with a good token.
    Caller, Role::Anonymous
);
at_least!(
    /// A learner or above.
    Learner, Role::Learner
);
at_least!(
    /// An operator or above.
    Operator, Role::Operator
);
at_least!(
    /// An admin.
    Admin, Role::Admin
);

/// Whose token the request carries, if it carries a good one: for calls that do not ask for one.
pub struct MaybeCaller(pub Option<Verified>);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for MaybeCaller {
    type Error = Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Infallible> {
        Outcome::Success(Self(caller(request, Role::Anonymous).ok()))
    }
}

/// The token of the request's header, whatever it is worth.
pub struct SentToken<'r>(Result<&'r str, Error>);

impl<'r> SentToken<'r> {
    pub fn required(self) -> Result<&'r str, Error> {
        self.0
    }

    /// A token that was sent otherwise, unless the header says something else.
    pub fn same_as<'t>(&self, posted: &'t str) -> Result<&'t str, Error> {
        match &self.0 {
            Err(error) if error.code == "auth.token_missing" => Ok(posted),
            Err(error) => Err(error.clone()),
            Ok(token) if *token == posted => Ok(posted),
            Ok(_) => Err(unauthenticated("auth.token_invalid", "The header and the body differ.")),
        }
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for SentToken<'r> {
    type Error = Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Infallible> {
        Outcome::Success(Self(bearer(request)))
    }
}

fn caller(request: &Request<'_>, floor: Role) -> Result<Verified, Error> {
    let token = bearer(request)?;
    let services =
        request.rocket().state::<Services>().ok_or_else(|| Error::internal("no services are managed"))?;
    let token = services.identity.access.check(token)?;
    Exchange::of(request).is_by(token.caller.id);
    if token.caller.role < floor {
        let public = format!("This needs the role {floor} or above; yours is {}.", token.caller.role);
        return Err(Error::forbidden("auth.role_too_low", public));
    }
    Ok(token)
}

/// The one token of the request. Two headers are refused: a proxy may have looked at the other one.
pub(super) fn bearer<'r>(request: &'r Request<'_>) -> Result<&'r str, Error> {
    let mut headers = request.headers().get("Authorization");
    let Some(header) = headers.next() else {
        return Err(unauthenticated(
            "auth.token_missing",
            "This needs a token: `Authorization: Bearer TOKEN`.",
        ));
    };
    if headers.next().is_some() {
        return Err(unauthenticated("auth.token_invalid", "There is more than one Authorization header."));
    }
    if header.len() > MAX_AUTHORIZATION_BYTES {
        return Err(unauthenticated("auth.token_invalid", "The token is too long to be one of ours."));
    }
    match header.trim().split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        _ => Err(unauthenticated("auth.token_invalid", "The Authorization header is not `Bearer TOKEN`.")),
    }
}

fn unauthenticated(code: &'static str, public: &str) -> Error {
    Error::new(Kind::Unauthenticated, code, public)
}
