//! Passwords and tokens: what a sign-in needs from outside.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use unicode_normalization::UnicodeNormalization;

use super::trivial::is_trivial;
use super::{Caller, User};
use crate::{FamilyId, Fault, Result};

/// bcrypt reads 72 bytes, its terminating zero included. A longer password would be cut, and then two different
/// ones would open the same door.
const MAX_PASSWORD_BYTES: usize = 71;
const MIN_PASSWORD_CHARS: usize = 8;

/// A password as someone typed it, in NFC: an é typed on a Mac and one typed on a PC are then the same bytes.
/// It cannot be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Offered(String);

impl Offered {
    /// For a sign-in. Too short is not refused here: it is merely wrong.
    pub fn new(typed: &str) -> Result<Self, Fault> {
        let text: String = typed.nfc().collect();
        if text.len() > MAX_PASSWORD_BYTES {
            let detail = format!("A password has at most {MAX_PASSWORD_BYTES} bytes.");
            return Err(Fault::new("/password", "password.too_long", detail));
        }
        if text.contains('\0') {
            return Err(Fault::new("/password", "password.nul", "A password cannot hold the NUL character."));
        }
        Ok(Self(text))
    }

    /// For a new account: one that is [strong enough](Self::strong_enough).
    pub fn chosen(typed: &str) -> Result<Self, Fault> {
        let password = Self::new(typed)?;
        password.strong_enough()?;
        Ok(password)
    }

    /// Eight characters or more, and none of those that everybody tries first.
    pub fn strong_enough(&self) -> Result<(), Fault> {
        if self.0.chars().count() < MIN_PASSWORD_CHARS {
            let detail = format!("A password has at least {MIN_PASSWORD_CHARS} characters.");
            return Err(Fault::new("/password", "password.too_short", detail));
        }
        if is_trivial(&self.0) {
            let detail = "This password is among those that are tried first; choose another.";
            return Err(Fault::new("/password", "password.trivial", detail));
        }
        Ok(())
    }

    /// The bytes to hash.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Offered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Offered([redacted])")
    }
}

/// Hashes passwords. Slow on purpose: an implementer keeps the work off the async threads and bounds how much of it
/// runs at once; who finds no turn in time gets `Unavailable`.
#[async_trait]
pub trait Passwords: Send + Sync {
    async fn hash(&self, password: &Offered) -> Result<String>;

    /// Whether this is the password. With no hash, or one that cannot be read, the answer is no and costs as much
    /// time as any other, so that the clock does not tell who has an account.
    async fn verify(&self, password: &Offered, hash: Option<&str>) -> Result<bool>;

    /// Whether a hash is weaker than those made today.
    fn is_outdated(&self, hash: &str) -> bool;
}

/// A token made now.
#[derive(Clone)]
pub struct Issued {
    /// What the caller sends back as `Bearer`.
    pub token: String,
    /// The token's own id.
    pub jti: String,
    pub expires_at: Timestamp,
}

/// What a token carries besides who it is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// The account's at the time of issue.
    pub generation: i64,
    /// The login it came from, where there is one that can be ended.
    pub family: Option<FamilyId>,
}

/// What a good token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    pub caller: Caller,
    /// The account's username at the time of signing in.
    pub username: Option<String>,
    pub jti: String,
    pub stamp: Stamp,
    pub expires_at: Timestamp,
}

/// Makes and checks tokens. Checking is on the path of every request: no I/O, some microseconds.
pub trait Tokens: Send + Sync {
    /// Refuses the role `system`: no person has it.
    fn issue(&self, user: &User, stamp: Stamp, ttl: Duration) -> Result<Issued>;

    /// The error is always `Unauthenticated`, `auth.token_expired` or `auth.token_invalid`, and never holds the
    /// token. Whether it was revoked is [`super::Access`]'s to say.
    fn verify(&self, token: &str) -> Result<Verified>;

    /// A JSON Web Key Set (RFC 7517) of the public keys, empty when there are none to show.
    fn public_keys(&self) -> Result<serde_json::Value>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_letters_are_the_same_password_however_they_were_composed() {
        assert_eq!(
            Offered::new("caf\u{e9}-caf\u{e9}").unwrap(),
            Offered::new("cafe\u{301}-cafe\u{301}").unwrap()
        );
    }

    #[test]
    fn seventy_one_bytes_after_composition_are_the_limit() {
        assert!(Offered::new(&"x".repeat(71)).is_ok());
        assert_eq!(Offered::new(&"x".repeat(72)).unwrap_err().code, "password.too_long");
        // 36 decomposed letters are 108 bytes as typed, 72 when composed; 35 are 70.
        assert!(Offered::new(&"e\u{301}".repeat(35)).is_ok());
        assert!(Offered::new(&"e\u{301}".repeat(36)).is_err());
    }

    #[test]
    fn a_new_password_has_eight_characters_but_an_offered_one_may_be_short() {
        assert_eq!(Offered::chosen("1234567").unwrap_err().code, "password.too_short");
        assert!(Offered::chosen("1234567x").is_ok());
        assert!(Offered::new("1").is_ok());
    }

    #[test]
    fn a_new_password_is_none_that_everybody_tries_first() {
        for trivial in ["12345678", "password", "Password1", "QWERTYUIOP", "aaaaaaaa", "abcdefgh", "87654321"]
        {
            assert_eq!(Offered::chosen(trivial).unwrap_err().code, "password.trivial", "{trivial}");
            assert!(Offered::new(trivial).is_ok());
        }
        assert!(Offered::chosen("aFtg&89M").is_ok());
    }

    #[test]
    fn a_password_cannot_be_printed() {
        assert!(!format!("{:?}", Offered::new("aFtg&89M").unwrap()).contains("aFtg"));
    }
}
