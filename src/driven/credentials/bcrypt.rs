//! Passwords by bcrypt, off the async threads and never more at once than there are cores.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use flow_domain::users::{Offered, Passwords};
use flow_domain::{Error, Result};
use log::warn;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// bcrypt hashes. One at cost 12 takes about a quarter of a second of a core.
pub struct BcryptPasswords {
    cost: u32,
    /// What is compared when there is nothing to compare with.
    dummy: Arc<str>,
    turns: Arc<Semaphore>,
    max_wait: Duration,
}

impl BcryptPasswords {
    /// `cost` is 4 to 31, bcrypt's own bounds; `at_once` how many hashes run in parallel, the cores being the
    /// sensible number; who waits longer than `max_wait` for a turn is told to come back.
    pub fn new(cost: u32, at_once: usize, max_wait: Duration) -> Result<Self, String> {
        if !(4..=31).contains(&cost) {
            return Err(format!("the bcrypt cost is {cost}; it must be from 4 to 31"));
        }
        Ok(Self {
            cost,
            dummy: dummy(cost).into(),
            turns: Arc::new(Semaphore::new(at_once.max(1))),
            max_wait,
        })
    }

    /// Runs the work on a blocking thread when its turn has come. The turn belongs to the work and not to the
    /// waiting request: a caller who hangs up does not let another hash start beside the one still running.
    async fn in_turn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let turn = timeout(self.max_wait, self.turns.clone().acquire_owned())
            .await
            .map_err(|_| {
                Error::unavailable("auth.busy", "Too many sign-ins at once; try again in a moment.")
            })?
            .map_err(Error::internal)?;
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        })
        .await
        .map_err(Error::internal)
    }
}

#[async_trait]
impl Passwords for BcryptPasswords {
    async fn hash(&self, password: &Offered) -> Result<String> {
        let (password, cost) = (password.clone(), self.cost);
        self.in_turn(move || bcrypt::non_truncating_hash(password.as_bytes(), cost))
            .await?
            .map_err(Error::internal)
    }

    async fn verify(&self, password: &Offered, hash: Option<&str>) -> Result<bool> {
        let (password, dummy, hash) = (password.clone(), self.dummy.clone(), hash.map(str::to_owned));
        let cost = self.cost;
        self.in_turn(move || matches(&password, hash.as_deref(), &dummy, cost)).await
    }

    fn is_outdated(&self, hash: &str) -> bool {
        cost_of(hash).is_some_and(|cost| cost < self.cost)
    }
}

fn matches(password: &Offered, hash: Option<&str>, dummy: &str, cost: u32) -> bool {
    let Some(hash) = hash else {
        return work_for_nothing(password, dummy);
    };
    match bcrypt::non_truncating_verify(password.as_bytes(), hash) {
        Ok(true) => true,
        Ok(false) => {
            // A hash of a lower cost is sooner seen to be wrong. Each step doubles the work, so all the steps from
            // its own cost up to ours add up to what is missing.
            for missing in cost_of(hash).unwrap_or(cost)..cost {
                work_for_nothing(password, &self::dummy(missing));
            }
            false
        }
        Err(error) => {
            warn!("a stored password hash cannot be used: {error}");
            work_for_nothing(password, dummy)
        }
    }
}

/// The two digits after the version: `$2b$12$…`.
fn cost_of(hash: &str) -> Option<u32> {
    hash.split('$').nth(2)?.parse().ok()
}

/// Always false, after as much work as a real comparison.
fn work_for_nothing(password: &Offered, dummy: &str) -> bool {
    let _ = bcrypt::non_truncating_verify(password.as_bytes(), dummy);
    false
}

/// A hash of nobody's password: 22 digits of salt and 31 of hash, all zero in bcrypt's alphabet.
fn dummy(cost: u32) -> String {
    format!("$2b${cost:02}${}", ".".repeat(22 + 31))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use flow_domain::Kind;

    use super::*;

    fn passwords(cost: u32) -> BcryptPasswords {
        BcryptPasswords::new(cost, 2, Duration::from_secs(60)).unwrap()
    }

    fn offered(text: &str) -> Offered {
        Offered::new(text).unwrap()
    }

    #[tokio::test]
    async fn a_password_opens_its_own_hash_and_no_other() {
        let passwords = passwords(4);
        let hash = passwords.hash(&offered("aFtg&89M")).await.unwrap();
        assert!(passwords.verify(&offered("aFtg&89M"), Some(&hash)).await.unwrap());
        assert!(!passwords.verify(&offered("aFtg&89m"), Some(&hash)).await.unwrap());
        assert!(!passwords.verify(&offered("aFtg&89M"), None).await.unwrap());
    }

    #[tokio::test]
    async fn seventy_one_bytes_all_count() {
        let passwords = passwords(4);
        let long = "x".repeat(71);
        let hash = passwords.hash(&offered(&long)).await.unwrap();
        assert!(passwords.verify(&offered(&long), Some(&hash)).await.unwrap());
        assert!(!passwords.verify(&offered(&long[..70]), Some(&hash)).await.unwrap());
    }

    #[tokio::test]
    async fn a_hash_that_cannot_be_read_opens_nothing() {
        for broken in ["", "plain", "$2b$04$short", "$9z$04$......................"] {
            assert!(!passwords(4).verify(&offered("aFtg&89M"), Some(broken)).await.unwrap(), "{broken}");
        }
    }

    #[test]
    fn the_dummy_is_a_hash_that_is_worked_through() {
        for cost in [4, 10] {
            assert!(!bcrypt::non_truncating_verify("aFtg&89M", &dummy(cost)).unwrap());
        }
    }

    #[tokio::test]
    async fn no_account_costs_as_much_time_as_a_wrong_password() {
        let passwords = passwords(9);
        let hash = passwords.hash(&offered("aFtg&89M")).await.unwrap();
        let (mut wrong, mut none) = (Duration::MAX, Duration::MAX);
        // The best of several: noise of the machine only ever adds.
        for _ in 0..5 {
            let start = Instant::now();
            passwords.verify(&offered("wrong"), Some(&hash)).await.unwrap();
            wrong = wrong.min(start.elapsed());
            let start = Instant::now();
            passwords.verify(&offered("wrong"), None).await.unwrap();
            none = none.min(start.elapsed());
        }
        assert!(none > wrong / 2 && none < wrong * 2, "wrong {wrong:?}, none {none:?}");
    }

    #[tokio::test]
    async fn a_hash_of_a_lower_cost_is_outdated_and_as_slow_to_refuse() {
        let (before, now) = (passwords(5), passwords(9));
        let old = before.hash(&offered("aFtg&89M")).await.unwrap();
        let new = now.hash(&offered("aFtg&89M")).await.unwrap();
        assert!(now.is_outdated(&old) && !now.is_outdated(&new) && !before.is_outdated(&new));
        assert!(now.verify(&offered("aFtg&89M"), Some(&old)).await.unwrap());
        let best = async |hash: &str| {
            let mut best = Duration::MAX;
            for _ in 0..5 {
                let start = Instant::now();
                assert!(!now.verify(&offered("wrong"), Some(hash)).await.unwrap());
                best = best.min(start.elapsed());
            }
            best
        };
        let (old, new) = (best(&old).await, best(&new).await);
        assert!(old > new / 2 && old < new * 2, "old {old:?}, new {new:?}");
    }

    #[tokio::test]
    async fn who_waits_too_long_for_a_turn_is_told_to_come_back() {
        let passwords = BcryptPasswords::new(4, 1, Duration::from_millis(10)).unwrap();
        let turn = passwords.turns.clone().acquire_owned().await.unwrap();
        let error = passwords.verify(&offered("x"), None).await.unwrap_err();
        assert_eq!((error.kind, error.code), (Kind::Unavailable, "auth.busy"));
        assert!(error.retry_after_s.is_some());
        drop(turn);
        assert!(!passwords.verify(&offered("x"), None).await.unwrap());
    }

    #[test]
    fn a_cost_bcrypt_does_not_know_is_refused() {
        assert!(BcryptPasswords::new(3, 1, Duration::ZERO).is_err());
        assert!(BcryptPasswords::new(32, 1, Duration::ZERO).is_err());
    }
}
