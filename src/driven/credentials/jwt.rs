//! Tokens as JWT, signed with HS256 or ES256.

mod key;
mod seen;

use std::time::Duration;

use flow_domain::users::{Caller, Issued, Role, Stamp, Tokens, User, Verified};
use flow_domain::{Error, FamilyId, Kind, Result, UserId};
use jiff::Timestamp;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{decode, decode_header, encode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::SigningKey;
use key::Key;
use seen::{Seen, fingerprint};

/// Clocks of two replicas differ by less than this, in seconds.
const LEEWAY_S: u64 = 10;

/// Ours are under 800 bytes; nobody makes us decode more than this.
const MAX_TOKEN_BYTES: usize = 4096;

/// Makes and checks our own tokens. The key is one of the configured ones, whatever a token's header says.
pub struct JwtTokens {
    issuer: String,
    audience: String,
    current: Key,
    /// Tokens of their making are taken too: each was the current one a while ago, or will be.
    others: Vec<Key>,
    seen: Seen,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: UserId,
    role: Role,
    iat: i64,
    exp: i64,
    iss: String,
    aud: String,
    jti: String,
    #[serde(default)]
    r#gen: i64,
    /// The login it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sid: Option<FamilyId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    username: Option<String>,
}

impl JwtTokens {
    /// `issuer` and `audience` are written into every token and wanted in every token.
    pub fn new(key: &SigningKey, issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        let (issuer, audience) = (issuer.into(), audience.into());
        let current = Key::new(key, &issuer, &audience);
        Self { issuer, audience, current, others: Vec::new(), seen: Seen::default() }
    }

    /// Takes the tokens of another key too, and makes none with it.
    pub fn accepting(mut self, key: &SigningKey) -> Self {
        self.others.push(Key::new(key, &self.issuer, &self.audience));
        self
    }

    /// The key a token names. One that names none is from before keys had names, or another's.
    fn named(&self, kid: Option<&str>) -> Option<&Key> {
        match kid {
            None => Some(&self.current),
            Some(kid) if kid == self.current.kid => Some(&self.current),
            Some(kid) => self.others.iter().find(|key| key.kid == kid),
        }
    }
}

impl Tokens for JwtTokens {
    fn issue(&self, user: &User, stamp: Stamp, ttl: Duration) -> Result<Issued> {
        if user.role == Role::System {
            return Err(Error::internal("a token was asked for the role system"));
        }
        let now = Timestamp::now();
        let expires_at = now.checked_add(ttl).map_err(Error::internal)?;
        let claims = Claims {
            sub: user.id,
            role: user.role,
            iat: now.as_second(),
            exp: expires_at.as_second(),
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            jti: Uuid::now_v7().to_string(),
            r#gen: stamp.generation,
            sid: stamp.family,
            username: user.username.clone(),
        };
        let token = encode(&self.current.header, &claims, &self.current.encoding).map_err(Error::internal)?;
        Ok(Issued { token, jti: claims.jti, expires_at })
    }

    fn verify(&self, token: &str) -> Result<Verified> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(invalid());
        }
        let fingerprint = fingerprint(token);
        if let Some(verified) = self.seen.get(&fingerprint) {
            return Ok(verified);
        }
        let verified = self.check(token)?;
        self.seen.keep(fingerprint, verified.clone());
        Ok(verified)
    }

    fn public_keys(&self) -> Result<Value> {
        let keys = std::iter::once(&self.current).chain(&self.others);
        let public: Vec<&Value> = keys.filter_map(|key| key.public.as_ref()).collect();
        Ok(json!({"keys": public}))
    }
}

impl JwtTokens {
    /// Everything that can be wrong with a token.
    fn check(&self, token: &str) -> Result<Verified> {
        let header = decode_header(token).map_err(|_| invalid())?;
        let key = self.named(header.kid.as_deref()).ok_or_else(invalid)?;
        let data =
            decode::<Claims>(token, &key.decoding, &key.validation).map_err(|error| match error.kind() {
                ErrorKind::ExpiredSignature => expired(),
                _ => invalid(),
            })?;
        let claims = data.claims;
        // RFC 7515, section 4.1.11: extensions that must be understood, and we understand none.
        if claims.role == Role::System || data.header.crit.is_some() {
            return Err(invalid());
        }
        Ok(Verified {
            caller: Caller { id: claims.sub, role: claims.role },
            username: claims.username,
            jti: claims.jti,
            stamp: Stamp { generation: claims.r#gen, family: claims.sid },
            expires_at: Timestamp::from_second(claims.exp).map_err(|_| invalid())?,
        })
    }
}

fn invalid() -> Error {
    Error::new(Kind::Unauthenticated, "auth.token_invalid", "The token is not valid; sign in again.")
}

fn expired() -> Error {
    Error::new(Kind::Unauthenticated, "auth.token_expired", "The token has expired; sign in again.")
}

#[cfg(test)]
mod tests;
