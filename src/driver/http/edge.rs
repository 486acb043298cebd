//! Who is on the other side: the client's address, and whether it came by https.

use std::convert::Infallible;
use std::net::IpAddr;

use ipnet::IpNet;
use rocket::Request;
use rocket::request::{FromRequest, Outcome};

/// What stands between the service and its clients.
#[derive(Clone, Debug, Default)]
pub struct Edge {
    /// Their `X-Forwarded-For` and `X-Forwarded-Proto` are believed, and nobody else's.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether browsers reach the service by https.
    pub https: bool,
    /// Pages elsewhere that may call.
    pub cors_origins: Vec<String>,
}

impl Edge {
    pub(super) fn of<'r>(request: &'r Request<'_>) -> Option<&'r Self> {
        request.rocket().state::<Self>()
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(&address.to_canonical()))
    }

    /// The nearest address that is no proxy of ours: what proxies add stands at the end of the list, and what the
    /// client wrote itself before it.
    fn client(&self, peer: IpAddr, forwarded: &str) -> IpAddr {
        let mut client = peer;
        for hop in forwarded.rsplit(',').map(|hop| hop.trim().parse::<IpAddr>()) {
            match hop {
                Ok(hop) if self.trusts(client) => client = hop,
                _ => break,
            }
        }
        client
    }

    /// Whether the client came by https, as far as it can be known.
    pub(super) fn is_https(request: &Request<'_>) -> bool {
        let Some(edge) = Self::of(request) else { return false };
        let proxied = || {
            let trusted = request.remote().is_some_and(|peer| edge.trusts(peer.ip()));
            trusted && request.headers().get_one("X-Forwarded-Proto") == Some("https")
        };
        edge.https || proxied()
    }
}

/// The client's address; none where there is no connection, as in a test.
pub struct ClientAddress(pub Option<IpAddr>);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for ClientAddress {
    type Error = Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Infallible> {
        let forwarded: Vec<&str> = request.headers().get("X-Forwarded-For").collect();
        let forwarded = forwarded.join(",");
        let client = request.remote().map(|peer| match Edge::of(request) {
            Some(edge) => edge.client(peer.ip(), &forwarded),
            None => peer.ip(),
        });
        Outcome::Success(Self(client))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded: &str) -> String {
        let trusted_proxies = vec!["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        let edge = Edge { trusted_proxies, ..Edge::default() };
        edge.client(peer.parse().unwrap(), forwarded).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        assert_eq!(client("192.0.2.1", "198.51.100.1"), "192.0.2.1");
        assert_eq!(client("10.1.2.3", "198.51.100.1"), "198.51.100.1");
        assert_eq!(client("::ffff:10.1.2.3", "198.51.100.1"), "198.51.100.1");
    }

    #[test]
    fn what_the_client_wrote_itself_is_not() {
        assert_eq!(client("10.1.2.3", "127.0.0.1, 198.51.100.1"), "198.51.100.1");
        assert_eq!(client("10.1.2.3", "198.51.100.1, 10.9.9.9"), "198.51.100.1");
        assert_eq!(client("10.1.2.3", "nonsense, 198.51.100.1"), "198.51.100.1");
        assert_eq!(client("10.1.2.3", "198.51.100.1, nonsense"), "10.1.2.3");
        assert_eq!(client("10.1.2.3", ""), "10.1.2.3");
    }
}
