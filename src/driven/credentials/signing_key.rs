//! The key that signs tokens: configured, or made once and kept in a file.
//!
//! A secret signs with HS256, and whoever can check can also sign; a private key on the curve P-256 signs with ES256,
//! and others check with its public half.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use p256::pkcs8::DecodePrivateKey;
use uuid::Uuid;

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

    /// A new key as the text that `from_text` reads, for whoever keeps it.
    pub fn generate() -> String {
        STANDARD_NO_PAD.encode(rand::random::<[u8; 48]>())
    }

    /// The key in this file; it is made, 0600, when it is not there. Two processes that start at once end up with
    /// the same key: the file is written aside and linked into place, and the second link fails.
    pub fn read_or_make(path: &Path) -> Result<Self, String> {
        let failed = |error: io::Error| format!("the signing key's file cannot be used: {error}");
        match fs::read_to_string(path) {
            Ok(text) => return Self::from_text(&text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        let aside = path.with_extension(format!("{}.new", Uuid::now_v7()));
        let linked = write_private(&aside, &Self::generate()).and_then(|()| fs::hard_link(&aside, path));
        // Left behind it does no harm but to tidiness: nothing ever reads it.
        let _ = fs::remove_file(&aside);
        match linked {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(failed(error)),
            _ => Self::from_text(&fs::read_to_string(path).map_err(failed)?),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey([redacted])")
    }
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use super::*;

    struct Dir(PathBuf);

    impl Dir {
        fn new() -> Self {
            let dir = std::env::temp_dir().join(format!("signing-key-{}", Uuid::now_v7()));
            fs::create_dir(&dir).unwrap();
            Self(dir)
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_key_is_made_once_private_and_found_again() {
        let dir = Dir::new();
        let path = dir.0.join("signing.key");
        let made = SigningKey::read_or_make(&path).unwrap();
        assert_eq!(SigningKey::read_or_make(&path).unwrap(), made);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&dir.0).unwrap().count(), 1);
    }

    #[test]
    fn two_that_start_at_once_share_one_key() {
        let dir = Dir::new();
        let path = dir.0.join("signing.key");
        let keys: Vec<SigningKey> = std::thread::scope(|scope| {
            let starts: Vec<_> =
                (0..8).map(|_| scope.spawn(|| SigningKey::read_or_make(&path).unwrap())).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
    }

    #[test]
    fn a_short_key_is_refused_and_none_can_be_printed() {
        assert!(SigningKey::from_text("too short").unwrap_err().contains("32"));
        assert!(
            SigningKey::from_pem("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----").is_err()
        );
        let text = SigningKey::generate();
        let key = SigningKey::from_text(&format!("{text}\n")).unwrap();
        assert!(!format!("{key:?}").contains(&text));
    }
}
