//! People of every kind.

use std::time::Duration;

use flow_domain::UserId;
use flow_domain::users::{Role, Tokens, User};
use flow_manager::driven::credentials::{JwtTokens, SigningKey};

pub const SECRET: &str = "a signing key of at least thirty-two bytes";

/// A token of somebody new.
pub fn token_of(role: Role, username: Option<&str>) -> String {
    let username = username.map(str::to_owned);
    let user = User { id: UserId::new(), email: None, username, name: None, role };
    let tokens = JwtTokens::new(&SigningKey::from_text(SECRET).unwrap(), "flow-manager", "flow-manager");
    tokens.issue(&user, Default::default(), Duration::from_secs(3600)).unwrap().token
}
