//! How often somebody may try.

use std::net::IpAddr;

use crate::Result;

/// Counts failed sign-ins, by account and by address, and by address new accounts and shown tokens. The counts are one process's
/// own. Every refusal is `TooMany` with the time to wait.
pub trait Attempts: Send + Sync {
    /// Whether one more try is allowed; it is not counted before it failed. `account` is the address or name that
    /// was given, whether or not there is such an account, so that the answer does not tell.
    fn may_try(&self, account: &str, from: Option<IpAddr>) -> Result<()>;

    /// A try has failed.
    fn failed(&self, account: &str, from: Option<IpAddr>);

    /// Somebody asks for a new account or a temporary name; counted at once.
    fn may_open(&self, from: Option<IpAddr>) -> Result<()>;

    /// Somebody shows a token of another service, which must be asked about it; counted at once.
    fn may_show(&self, from: Option<IpAddr>) -> Result<()>;
}

/// Allows everything: for the command line, whose user has the database anyway.
pub struct Unlimited;

impl Attempts for Unlimited {
    fn may_try(&self, _: &str, _: Option<IpAddr>) -> Result<()> {
        Ok(())
    }

    fn failed(&self, _: &str, _: Option<IpAddr>) {}

    fn may_open(&self, _: Option<IpAddr>) -> Result<()> {
        Ok(())
    }

    fn may_show(&self, _: Option<IpAddr>) -> Result<()> {
        Ok(())
    }
}
