//! Where a request came from, for the journal of sign-ins.

use std::convert::Infallible;

use flow_domain::openid::Origin;
use rocket::request::{FromRequest, Outcome, Request};

use super::edge::ClientAddress;

pub struct Visitor(pub Origin);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Visitor {
    type Error = Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Infallible> {
        let agent = request.headers().get_one("User-Agent").map(str::to_owned);
        ClientAddress::from_request(request).await.map(|address| Self(Origin { address: address.0, agent }))
    }
}
