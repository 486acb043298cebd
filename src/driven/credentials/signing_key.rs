//! A key that signs tokens.
//!
//! A secret signs with HS256, and whoever can check can also sign; a private key on the curve P-256 signs with ES256,
//! and others check with its public half.

use std::fmt;

use p256::pkcs8::DecodePrivateKey;

/// RFC 7518, section 3.2: a key for HS256 is at least as long as its hash.
const MIN_BYTES: usize = 32;

/// A key that cannot be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey(pub(super) Material);

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Material {
    /// At least 32 bytes.
    Secret(Vec<u8>),
    Private(p256::SecretKey),
}

impl SigningKey {
    /// A configured or stored text, taken as it is but for the white space around it.
    pub fn from_text(text: &str) -> Result<Self, String> {
        Self::from_bytes(text.trim().as_bytes().to_vec())
    }

    /// A stored key of raw bytes.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, String> {
        if bytes.len() < MIN_BYTES {
            return Err(format!("the signing key has {} bytes; it needs at least {MIN_BYTES}", bytes.len()));
        }
        Ok(Self(Material::Secret(bytes)))
    }

    /// A private key on P-256, in PKCS#8 (`BEGIN PRIVATE KEY`) or in SEC1 (`BEGIN EC PRIVATE KEY`).
    pub fn from_pem(pem: &str) -> Result<Self, String> {
        let pem = pem.trim();
        let key = p256::SecretKey::from_pkcs8_pem(pem).or_else(|_| p256::SecretKey::from_sec1_pem(pem));
        // The parser's reason says nothing of use, and could say too much.
        key.map(|key| Self(Material::Private(key)))
            .map_err(|_| "the signing key is not a private key on the curve P-256 as PEM".to_owned())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_key_is_refused_and_none_can_be_printed() {
        assert!(SigningKey::from_text("too short").unwrap_err().contains("32"));
        assert!(
            SigningKey::from_pem("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----").is_err()
        );
        let text = "x".repeat(32);
        let key = SigningKey::from_text(&format!("{text}\n")).unwrap();
        assert!(!format!("{key:?}").contains(&text));
    }
}
