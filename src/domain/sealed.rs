//! Small secrets that leave the process: in a cookie, a row, a run's input.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::Result;

/// Encrypted and authenticated, with the id of the key that did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    pub key_id: String,
    pub nonce: Vec<u8>,
    pub ciphertext: Vec<u8>,
}

impl Sealed {
    /// `KEY.NONCE.CIPHERTEXT`, safe in a cookie, a URL and a log.
    pub fn to_text(&self) -> String {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        format!("{}.{}.{}", self.key_id, encode(&self.nonce), encode(&self.ciphertext))
    }

    pub fn from_text(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '.');
        let key_id = parts.next()?.to_owned();
        let mut bytes = || URL_SAFE_NO_PAD.decode(parts.next()?).ok();
        Some(Self { key_id, nonce: bytes()?, ciphertext: bytes()? })
    }
}

/// Encrypts with the current key and decrypts with any that is still there.
pub trait Sealer: Send + Sync {
    /// `Conflict` with `state_key.missing` where there is no key.
    fn seal(&self, purpose: &str, plain: &[u8]) -> Result<Sealed>;
    /// What was sealed for this very purpose. `Conflict` with `state_key.other` when its key is not here; damaged or
    /// of another purpose is `Internal`.
    fn open(&self, purpose: &str, sealed: &Sealed) -> Result<Vec<u8>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        let sealed = Sealed { key_id: "0a".into(), nonce: vec![0, 255], ciphertext: vec![1; 40] };
        assert_eq!(Sealed::from_text(&sealed.to_text()), Some(sealed));
        for bad in ["", ".", "a.b", "a.!.b", "a.b.c.d", "k.AA.AA=="] {
            assert_eq!(Sealed::from_text(bad), None, "{bad}");
        }
    }
}
