//! Where a worker is watched.

use std::net::SocketAddr;

use serde::{Deserialize, Deserializer, de};

use super::sections::text;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    #[serde(deserialize_with = "address")]
    pub address: Option<SocketAddr>,
}

fn address<'de, D: Deserializer<'de>>(input: D) -> Result<Option<SocketAddr>, D::Error> {
    let Some(text) = text(input)? else { return Ok(None) };
    let wrong = |_| de::Error::custom(format!("{text:?} is not ADDRESS:PORT, such as 127.0.0.1:9090"));
    text.parse().map(Some).map_err(wrong)
}
