//! Tokens whose signature held: checking one of ES256 takes some 150 µs of a core, and clients send each token often.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use flow_domain::users::Verified;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::LEEWAY_S;

/// Some four megabytes; then all are forgotten and checked again.
const MOST: usize = 20_000;

/// What a token says, by the SHA-256 of its whole text: one that differs anywhere is another.
#[derive(Default)]
pub(super) struct Seen(RwLock<HashMap<[u8; 32], Verified>>);

pub(super) fn fingerprint(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

impl Seen {
    /// None: not seen, or out of time by now, which the whole check then says.
    pub(super) fn get(&self, fingerprint: &[u8; 32]) -> Option<Verified> {
        let seen = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let verified = seen.get(fingerprint)?;
        let end = verified.expires_at.checked_add(Duration::from_secs(LEEWAY_S)).ok()?;
        (Timestamp::now() < end).then(|| verified.clone())
    }

    pub(super) fn keep(&self, fingerprint: [u8; 32], verified: Verified) {
        let mut seen = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= MOST {
            seen.clear();
        }
        seen.insert(fingerprint, verified);
    }
}

#[cfg(test)]
mod tests {
    use flow_domain::UserId;
    use flow_domain::users::{Caller, Role, Stamp};

    use super::*;

    fn ends_in_s(seconds: i64) -> Verified {
        Verified {
            caller: Caller { id: UserId::new(), role: Role::Learner },
            username: None,
            jti: "1".into(),
            stamp: Stamp::default(),
            expires_at: Timestamp::now() + jiff::SignedDuration::from_secs(seconds),
        }
    }

    #[test]
    fn a_token_is_remembered_until_its_end_and_no_other_is_taken_for_it() {
        let seen = Seen::default();
        let good = ends_in_s(60);
        seen.keep(fingerprint("a.b.c"), good.clone());
        assert_eq!(seen.get(&fingerprint("a.b.c")), Some(good));
        assert_eq!(seen.get(&fingerprint("a.b.C")), None);
        let leeway = i64::try_from(LEEWAY_S).unwrap();
        seen.keep(fingerprint("over"), ends_in_s(-leeway - 1));
        assert_eq!(seen.get(&fingerprint("over")), None);
    }

    #[test]
    fn the_memory_is_bounded() {
        let seen = Seen::default();
        let one = ends_in_s(60);
        for number in 0..=MOST {
            seen.keep(fingerprint(&number.to_string()), one.clone());
        }
        assert_eq!(seen.0.read().unwrap().len(), 1);
    }
}
