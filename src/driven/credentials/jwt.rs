//! Tokens as JWT, signed with HS256.

use std::time::Duration;

use flow_domain::users::{Caller, Issued, Role, Tokens, User, Verified};
use flow_domain::{Error, Kind, Result, UserId};
use jiff::Timestamp;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::SigningKey;

const ALGORITHM: Algorithm = Algorithm::HS256;

/// Clocks of two replicas differ by less than this, in seconds.
const LEEWAY_S: u64 = 10;

/// Ours are under 600 bytes; nobody makes us decode more than this.
const MAX_TOKEN_BYTES: usize = 4096;

/// Makes and checks our own tokens. The key is the configured one, whatever a token's header says.
pub struct JwtTokens {
    issuer: String,
    audience: String,
    header: Header,
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    username: Option<String>,
}

impl JwtTokens {
    /// `issuer` and `audience` are written into every token and wanted in every token.
    pub fn new(key: &SigningKey, issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        let (issuer, audience) = (issuer.into(), audience.into());
        let mut validation = Validation::new(ALGORITHM);
        validation.leeway = LEEWAY_S;
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.set_issuer(&[&issuer]);
        validation.set_audience(&[&audience]);
        Self {
            issuer,
            audience,
            header: Header::new(ALGORITHM),
            encoding: EncodingKey::from_secret(key.as_bytes()),
            decoding: DecodingKey::from_secret(key.as_bytes()),
            validation,
        }
    }
}

impl Tokens for JwtTokens {
    fn issue(&self, user: &User, ttl: Duration) -> Result<Issued> {
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
            username: user.username.clone(),
        };
        let token = encode(&self.header, &claims, &self.encoding).map_err(Error::internal)?;
        Ok(Issued { token, jti: claims.jti, expires_at })
    }

    fn verify(&self, token: &str) -> Result<Verified> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(invalid());
        }
        let data = decode::<Claims>(token, &self.decoding, &self.validation).map_err(|error| match error
            .kind()
        {
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
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};

    use super::*;

    const SECRET: &str = "a signing key of at least thirty-two bytes";

    fn tokens() -> JwtTokens {
        JwtTokens::new(&SigningKey::from_text(SECRET).unwrap(), "flow-manager", "flow-manager")
    }

    fn user(role: Role) -> User {
        User { id: UserId::new(), email: None, username: Some("ann".into()), name: None, role }
    }

    fn claims() -> Value {
        let now = Timestamp::now().as_second();
        json!({
            "sub": UserId::new(), "role": "learner", "iat": now, "exp": now + 60,
            "iss": "flow-manager", "aud": "flow-manager", "jti": "1",
        })
    }

    fn signed(algorithm: Algorithm, claims: &Value, key: &str) -> String {
        encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(key.as_bytes())).unwrap()
    }

    fn code(token: &str) -> &'static str {
        tokens().verify(token).map_or_else(|error| error.code, |_| "good")
    }

    #[test]
    fn a_token_says_who_it_was_made_for() {
        let user = user(Role::Operator);
        let issued = tokens().issue(&user, Duration::from_secs(3600)).unwrap();
        let verified = tokens().verify(&issued.token).unwrap();
        assert_eq!(verified.caller, Caller { id: user.id, role: Role::Operator });
        assert_eq!((verified.jti, verified.username), (issued.jti, user.username));
        assert_eq!(verified.expires_at.as_second(), issued.expires_at.as_second());
    }

    #[test]
    fn only_our_key_algorithm_issuer_and_audience_are_accepted() {
        assert_eq!(code(&signed(ALGORITHM, &claims(), SECRET)), "good");
        assert_eq!(
            code(&signed(ALGORITHM, &claims(), "another signing key of thirty-two bytes")),
            "auth.token_invalid"
        );
        assert_eq!(code(&signed(Algorithm::HS512, &claims(), SECRET)), "auth.token_invalid");
        for (claim, value) in [
            ("aud", json!("another")),
            ("iss", json!("another")),
            ("role", json!("system")),
            ("role", json!("root")),
            ("sub", json!("ann")),
            ("nbf", json!(Timestamp::now().as_second() + 60)),
        ] {
            let mut claims = claims();
            claims[claim] = value;
            assert_eq!(code(&signed(ALGORITHM, &claims, SECRET)), "auth.token_invalid", "{claim}");
        }
    }

    #[test]
    fn every_claim_is_wanted() {
        for claim in ["sub", "role", "iat", "exp", "iss", "aud", "jti"] {
            let mut claims = claims();
            claims.as_object_mut().unwrap().remove(claim);
            assert_eq!(code(&signed(ALGORITHM, &claims, SECRET)), "auth.token_invalid", "{claim}");
        }
    }

    #[test]
    fn the_leeway_is_bounded() {
        let now = Timestamp::now().as_second();
        let leeway = i64::try_from(LEEWAY_S).unwrap();
        for (exp, answer) in [(now - leeway + 5, "good"), (now - leeway - 5, "auth.token_expired")] {
            let mut claims = claims();
            claims["exp"] = json!(exp);
            assert_eq!(code(&signed(ALGORITHM, &claims, SECRET)), answer);
        }
    }

    #[test]
    fn neither_no_algorithm_nor_a_key_in_the_header_opens_anything() {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let good = signed(ALGORITHM, &claims(), SECRET);
        let (_, rest) = good.split_once('.').unwrap();
        for alg in ["none", "None", ""] {
            let header = part(&json!({"alg": alg, "typ": "JWT"}));
            assert_eq!(code(&format!("{header}.{}.", part(&claims()))), "auth.token_invalid");
            assert_eq!(code(&format!("{header}.{rest}")), "auth.token_invalid");
        }
        let mut header = Header::new(ALGORITHM);
        let theirs = "a key that its own sender put into the header";
        header.jwk = serde_json::from_value(json!({"kty": "oct", "k": URL_SAFE_NO_PAD.encode(theirs)})).ok();
        assert!(header.jwk.is_some());
        let token = encode(&header, &claims(), &EncodingKey::from_secret(theirs.as_bytes())).unwrap();
        assert_eq!(code(&token), "auth.token_invalid");
    }

    #[test]
    fn an_extension_we_do_not_know_is_refused() {
        let header = Header { crit: Some(vec!["b64".into()]), ..Header::new(ALGORITHM) };
        let token = encode(&header, &claims(), &EncodingKey::from_secret(SECRET.as_bytes())).unwrap();
        assert_eq!(code(&token), "auth.token_invalid");
    }

    #[test]
    fn rubbish_is_refused_whatever_its_size() {
        for rubbish in ["", ".", "..", "a.b.c", "\u{1f600}.\u{1f600}.x", &"x".repeat(1 << 20)] {
            assert_eq!(code(rubbish), "auth.token_invalid");
        }
    }

    #[test]
    fn no_token_is_made_for_the_system() {
        assert!(tokens().issue(&user(Role::System), Duration::from_secs(1)).is_err());
    }
}
