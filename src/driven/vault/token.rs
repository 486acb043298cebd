//! A Vault's token and its lease.

use std::fmt;
use std::time::Duration;

use rand::RngExt;
use serde::Deserialize;
use tokio::time::Instant;

use super::wire::Answer;

/// A lease of nothing is for ever; it is looked at once a day all the same.
const FOR_EVER: Duration = Duration::from_secs(24 * 3600);

pub(super) struct Token {
    pub text: String,
    pub renewable: bool,
    pub lease: Duration,
    pub renew_at: Instant,
    pub ends_at: Instant,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({:?})", self.lease)
    }
}

#[derive(Deserialize)]
struct WithAuth {
    auth: Option<Auth>,
}

#[derive(Deserialize)]
struct Auth {
    client_token: String,
    lease_duration: u64,
    #[serde(default)]
    renewable: bool,
}

impl Token {
    /// From the answer to a login.
    pub fn read(answer: &Answer) -> Option<Self> {
        let auth = answer.json::<WithAuth>()?.auth?;
        let lease = match auth.lease_duration {
            0 => FOR_EVER,
            seconds => Duration::from_secs(seconds),
        };
        Some(Self::with(auth, lease))
    }

    /// From the answer to a renewal, if it gave about as much time as there was before: less comes near the end of a
    /// token's longest life, and nothing at its end.
    pub fn renewed(&self, answer: &Answer) -> Option<Self> {
        let auth = answer.json::<WithAuth>()?.auth?;
        let lease = Duration::from_secs(auth.lease_duration);
        (!lease.is_zero() && lease * 2 >= self.lease).then(|| Self::with(auth, lease))
    }

    fn with(auth: Auth, lease: Duration) -> Self {
        let now = Instant::now();
        // About two thirds: many services that were started together do not come together.
        let share = 2.0 / 3.0 * rand::rng().random_range(0.9..=1.1);
        Self {
            text: auth.client_token,
            renewable: auth.renewable,
            lease,
            renew_at: now + lease.mul_f64(share),
            ends_at: now + lease,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(lease: u64) -> Answer {
        let text = format!(r#"{{"auth":{{"client_token":"t","lease_duration":{lease},"renewable":true}}}}"#);
        Answer { status: 200, body: text.into_bytes() }
    }

    fn read(lease: u64) -> Token {
        Token::read(&answer(lease)).unwrap()
    }

    #[test]
    fn it_is_renewed_at_about_two_thirds_of_its_lease() {
        for _ in 0..100 {
            let before = Instant::now();
            let token = read(300);
            let after = token.renew_at.duration_since(before).as_secs_f64();
            assert!((179.9..=221.0).contains(&after), "{after}");
            assert!(token.renew_at < token.ends_at);
        }
        assert_eq!(read(0).lease, FOR_EVER);
    }

    #[test]
    fn a_renewal_that_gives_little_is_the_last_one() {
        let renewed = |lease| read(300).renewed(&answer(lease)).map(|token| token.lease.as_secs());
        assert_eq!([renewed(299), renewed(20), renewed(0)], [Some(299), None, None]);
        assert_eq!(format!("{:?}", read(300)), "Token(300s)", "a log has no use for the rest");
    }
}
