//! The section `[oidc]`.

use serde::Deserialize;

use super::secret::Secret;
use super::sections::{secret, text};

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oidc {
    #[serde(deserialize_with = "text")]
    pub issuer: Option<String>,
    #[serde(deserialize_with = "text")]
    pub client_id: Option<String>,
    #[serde(deserialize_with = "secret")]
    pub client_secret: Option<Secret>,
    pub scopes: Vec<String>,
    pub redirect_url: String,
    #[serde(deserialize_with = "text")]
    pub audience: Option<String>,
    pub token_check: TokenCheck,
    pub tokeninfo_url: String,
    /// 0 is no limit.
    pub shown_per_address: u32,
}

/// How `POST /users` checks an access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenCheck {
    Introspection,
    Tokeninfo,
    IdToken,
}
