//! One key, ready to sign and to check with.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use p256::elliptic_curve::sec1::ToEncodedPoint;
use p256::pkcs8::EncodePrivateKey;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::LEEWAY_S;
use crate::driven::credentials::SigningKey;
use crate::driven::credentials::signing_key::Material;

pub(super) struct Key {
    /// The name that its tokens carry, made from the key itself: replicas with one key agree on it.
    pub kid: String,
    pub header: Header,
    pub encoding: EncodingKey,
    pub decoding: DecodingKey,
    /// Allows the key's own algorithm and no other.
    pub validation: Validation,
    /// As a JSON Web Key (RFC 7517), if there is a public half.
    pub public: Option<Value>,
}

impl Key {
    pub fn new(key: &SigningKey, issuer: &str, audience: &str) -> Self {
        match &key.0 {
            Material::Secret(secret) => Self::of_secret(secret, issuer, audience),
            Material::Private(private) => Self::of_private(private, issuer, audience),
        }
    }

    fn of_secret(secret: &[u8], issuer: &str, audience: &str) -> Self {
        // Says no more of the secret than any signature does.
        let kid = short(Sha256::new().chain_update("flow-manager key id\0").chain_update(secret));
        Self {
            header: header(Algorithm::HS256, &kid),
            kid,
            encoding: EncodingKey::from_secret(secret),
            decoding: DecodingKey::from_secret(secret),
            validation: validation(Algorithm::HS256, issuer, audience),
            public: None,
        }
    }

    fn of_private(private: &p256::SecretKey, issuer: &str, audience: &str) -> Self {
        let point = private.public_key().to_encoded_point(false);
        let coordinate = |bytes: Option<&p256::FieldBytes>| {
            URL_SAFE_NO_PAD.encode(bytes.expect("an uncompressed point that is no infinity has both"))
        };
        let (x, y) = (coordinate(point.x()), coordinate(point.y()));
        // RFC 7638: the members that make the key, in this order, without spaces.
        let thumbprint = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let kid = short(Sha256::new().chain_update(thumbprint));
        let der = private.to_pkcs8_der().expect("a key that was read can be written");
        Self {
            header: header(Algorithm::ES256, &kid),
            encoding: EncodingKey::from_ec_der(der.as_bytes()),
            decoding: DecodingKey::from_ec_components(&x, &y).expect("it was encoded as it is read"),
            validation: validation(Algorithm::ES256, issuer, audience),
            public: Some(json!({
                "kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": kid, "alg": "ES256", "use": "sig",
            })),
            kid,
        }
    }
}

impl SigningKey {
    /// The name that its tokens carry.
    pub fn kid(&self) -> String {
        Key::new(self, "", "").kid
    }
}

fn header(algorithm: Algorithm, kid: &str) -> Header {
    Header { kid: Some(kid.to_owned()), ..Header::new(algorithm) }
}

/// Half of the hash is plenty to tell two keys apart.
fn short(hash: Sha256) -> String {
    URL_SAFE_NO_PAD.encode(&hash.finalize()[..16])
}

fn validation(algorithm: Algorithm, issuer: &str, audience: &str) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.leeway = LEEWAY_S;
    validation.validate_nbf = true;
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[audience]);
    validation
}
