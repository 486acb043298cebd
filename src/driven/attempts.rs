//! How often somebody may try, by GCRA in memory (crate `governor`).

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use flow_domain::users::Attempts;
use flow_domain::{Error, Kind, Result};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};

/// What is allowed at once, and is given back evenly over a minute. Zero is no limit.
#[derive(Clone, Copy, Debug)]
pub struct AttemptLimits {
    /// Failed sign-ins of one account.
    pub failures_per_account: u32,
    /// Failed sign-ins from one address.
    pub failures_per_address: u32,
    /// New accounts and temporary names from one address.
    pub openings_per_address: u32,
    /// Tokens of another service, shown from one address.
    pub shown_per_address: u32,
}

/// Above this, keys that are as good as new are thrown out; more come only as fast as bcrypt lets them.
const MANY_KEYS: usize = 10_000;

pub struct GovernedAttempts {
    accounts: Option<Failures<String>>,
    addresses: Option<Failures<IpAddr>>,
    openings: Option<DefaultKeyedRateLimiter<IpAddr>>,
    shown: Option<DefaultKeyedRateLimiter<IpAddr>>,
}

impl GovernedAttempts {
    pub fn new(limits: AttemptLimits) -> Self {
        Self {
            accounts: quota(limits.failures_per_account).map(Failures::new),
            addresses: quota(limits.failures_per_address).map(Failures::new),
            openings: quota(limits.openings_per_address).map(DefaultKeyedRateLimiter::keyed),
            shown: quota(limits.shown_per_address).map(DefaultKeyedRateLimiter::keyed),
        }
    }
}

fn quota(per_minute: u32) -> Option<Quota> {
    NonZeroU32::new(per_minute).map(Quota::per_minute)
}

impl Attempts for GovernedAttempts {
    fn may_try(&self, account: &str, from: Option<IpAddr>) -> Result<()> {
        if let Some(accounts) = &self.accounts {
            accounts.check(&account.to_owned())?;
        }
        match (&self.addresses, from) {
            (Some(addresses), Some(from)) => addresses.check(&network(from)),
            _ => Ok(()),
        }
    }

    fn failed(&self, account: &str, from: Option<IpAddr>) {
        if let Some(accounts) = &self.accounts {
            accounts.count(account.to_owned());
        }
        if let (Some(addresses), Some(from)) = (&self.addresses, from) {
            addresses.count(network(from));
        }
    }

    fn may_open(&self, from: Option<IpAddr>) -> Result<()> {
        counted(self.openings.as_ref(), from)
    }

    fn may_show(&self, from: Option<IpAddr>) -> Result<()> {
        counted(self.shown.as_ref(), from)
    }
}

/// Counts one, whatever comes of it.
fn counted(limiter: Option<&DefaultKeyedRateLimiter<IpAddr>>, from: Option<IpAddr>) -> Result<()> {
    let (Some(limiter), Some(from)) = (limiter, from) else { return Ok(()) };
    if limiter.len() > MANY_KEYS {
        limiter.retain_recent();
    }
    let clock = DefaultClock::default();
    limiter.check_key(&network(from)).map_err(|until| too_many(until.wait_time_from(clock.now())))
}

/// One subscriber has a whole /64 of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address => address,
    }
}

fn too_many(wait: Duration) -> Error {
    let public = "There were too many attempts; wait before the next one.";
    let retry_after_s = Some(wait.as_secs() + 1);
    Error { retry_after_s, ..Error::new(Kind::TooMany, "auth.too_many_attempts", public) }
}

/// Counts failures only: the limiter is asked when one happened, and whom it refuses is shut out until it would not.
struct Failures<K: Hash + Eq + Clone> {
    limiter: DefaultKeyedRateLimiter<K>,
    clock: DefaultClock,
    shut_out: Mutex<HashMap<K, Instant>>,
}

impl<K: Hash + Eq + Clone> Failures<K> {
    fn new(quota: Quota) -> Self {
        let limiter = DefaultKeyedRateLimiter::keyed(quota);
        Self { limiter, clock: DefaultClock::default(), shut_out: Mutex::default() }
    }

    fn check(&self, key: &K) -> Result<()> {
        let shut_out = self.shut_out.lock().unwrap_or_else(PoisonError::into_inner);
        match shut_out.get(key).map(|end| end.saturating_duration_since(Instant::now())) {
            Some(wait) if !wait.is_zero() => Err(too_many(wait)),
            _ => Ok(()),
        }
    }

    fn count(&self, key: K) {
        if self.limiter.len() > MANY_KEYS {
            self.limiter.retain_recent();
        }
        let Err(until) = self.limiter.check_key(&key) else { return };
        let end = Instant::now() + until.wait_time_from(self.clock.now());
        let mut shut_out = self.shut_out.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        shut_out.retain(|_, end| *end > now);
        shut_out.insert(key, end);
    }
}
