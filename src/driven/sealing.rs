//! Encryption at rest, XChaCha20-Poly1305: the nonce is long enough to be drawn at random for ever.

use std::fmt;

use chacha20poly1305::aead::{Aead, AeadCore, KeyInit, OsRng, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use flow_domain::sealed::{Sealed, Sealer};
use flow_domain::{Error, Result};
use sha2::{Digest, Sha256};

/// 32 random bytes, from `FLOW_STATE_KEY`, and how they are known without being told.
#[derive(Clone)]
pub struct StateKey {
    id: String,
    cipher: XChaCha20Poly1305,
}

impl StateKey {
    pub fn new(key: &[u8; 32]) -> Self {
        // Which key it was, without the key: enough to tell a wrong one from a damaged copy.
        let hash = Sha256::new().chain_update("flow-manager state key").chain_update(key).finalize();
        let id = flow_domain::hex(&hash[..8]);
        Self { id, cipher: XChaCha20Poly1305::new(key.into()) }
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    /// Encrypts, bound to `aad`: opened with any other, it is as if damaged.
    pub fn seal(&self, aad: &[u8], plain: &[u8]) -> Result<Sealed> {
        let nonce = XChaCha20Poly1305::generate_nonce(&mut OsRng);
        let ciphertext = self
            .cipher
            .encrypt(&nonce, Payload { msg: plain, aad })
            .map_err(|_| Error::internal("something could not be encrypted"))?;
        Ok(Sealed { key_id: self.id.clone(), nonce: nonce.to_vec(), ciphertext })
    }

    /// None: damaged, forged, or bound to something else.
    pub fn open(&self, aad: &[u8], sealed: &Sealed) -> Option<Vec<u8>> {
        let nonce: [u8; 24] = sealed.nonce.as_slice().try_into().ok()?;
        let payload = Payload { msg: sealed.ciphertext.as_slice(), aad };
        self.cipher.decrypt(XNonce::from_slice(&nonce), payload).ok()
    }
}

impl fmt::Debug for StateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StateKey({})", self.id)
    }
}

/// The current key, and the one before it while what it encrypted is still about.
#[derive(Clone, Debug, Default)]
pub struct Keyring {
    pub current: Option<StateKey>,
    pub old: Option<StateKey>,
}

impl Sealer for Keyring {
    fn seal(&self, purpose: &str, plain: &[u8]) -> Result<Sealed> {
        let missing = || {
            let public = "Tokens are kept only encrypted: set FLOW_STATE_KEY, 32 random bytes.";
            Error::conflict("state_key.missing", public)
        };
        self.current.as_ref().ok_or_else(missing)?.seal(purpose.as_bytes(), plain)
    }

    fn open(&self, purpose: &str, sealed: &Sealed) -> Result<Vec<u8>> {
        let mut keys = self.current.iter().chain(&self.old);
        let Some(key) = keys.find(|key| key.id == sealed.key_id) else {
            return Err(Error::conflict(
                "state_key.other",
                "This was encrypted with another key than FLOW_STATE_KEY and FLOW_STATE_OLD_KEY hold now.",
            ));
        };
        key.open(purpose.as_bytes(), sealed)
            .ok_or_else(|| Error::internal(format!("what was sealed for {purpose:?} is damaged")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(current: u8, old: Option<u8>) -> Keyring {
        let key = |byte| StateKey::new(&[byte; 32]);
        Keyring { current: Some(key(current)), old: old.map(key) }
    }

    #[test]
    fn what_was_sealed_is_opened_for_its_purpose_alone() {
        let sealed = ring(1, None).seal("cookie", b"secret").unwrap();
        assert!(!sealed.to_text().contains("secret"));
        assert_eq!(ring(1, None).open("cookie", &sealed).unwrap(), b"secret");
        assert_eq!(ring(1, None).open("token", &sealed).unwrap_err().code, "internal");
        for at in 0..sealed.ciphertext.len() {
            let mut forged = sealed.clone();
            forged.ciphertext[at] ^= 1;
            assert!(ring(1, None).open("cookie", &forged).is_err());
        }
        let short = Sealed { nonce: vec![0; 3], ..sealed };
        assert!(ring(1, None).open("cookie", &short).is_err());
    }

    #[test]
    fn a_new_key_opens_what_the_old_one_sealed_while_it_is_there() {
        let sealed = ring(1, None).seal("token", b"secret").unwrap();
        assert_eq!(ring(2, Some(1)).open("token", &sealed).unwrap(), b"secret");
        assert_eq!(ring(2, None).open("token", &sealed).unwrap_err().code, "state_key.other");
        let anew = ring(2, Some(1)).seal("token", b"secret").unwrap();
        assert_eq!(ring(2, None).open("token", &anew).unwrap(), b"secret");
    }

    #[test]
    fn without_a_key_nothing_is_sealed() {
        assert_eq!(Keyring::default().seal("token", b"").unwrap_err().code, "state_key.missing");
    }
}
