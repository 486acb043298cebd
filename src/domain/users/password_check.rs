//! Whether an offered password opens an account.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use log::warn;

use super::{Account, Attempts, Offered, Passwords, Users};
use crate::{Error, Kind, Result};

/// Checks passwords for every door. An unknown name, a wrong password, a closed account and one without a password
/// all get the same answer after the same work.
pub(super) struct PasswordCheck {
    pub users: Arc<dyn Users>,
    pub passwords: Arc<dyn Passwords>,
    pub attempts: Arc<dyn Attempts>,
}

impl PasswordCheck {
    /// `key` is what the tries of this account are counted by.
    pub(super) async fn check(
        &self,
        key: &str,
        account: Option<Account>,
        password: &Offered,
        from: Option<IpAddr>,
    ) -> Result<Account> {
        self.attempts.may_try(key, from)?;
        let hash = account.as_ref().and_then(|account| account.password_hash.as_deref());
        let right = self.passwords.verify(password, hash).await?;
        match account {
            Some(account) if right && account.is_open(Timestamp::now()) => {
                self.strengthen(&account, password).await;
                Ok(account)
            }
            _ => {
                self.attempts.failed(key, from);
                Err(refused())
            }
        }
    }

    /// Hashes anew what was hashed at a lower cost; only now is the password known. It can wait for another time.
    async fn strengthen(&self, account: &Account, password: &Offered) {
        let Some(old) = account.password_hash.as_deref().filter(|hash| self.passwords.is_outdated(hash))
        else {
            return;
        };
        let replaced = async {
            let new = self.passwords.hash(password).await?;
            self.users.replace_hash(account.user.id, old, &new).await
        };
        if let Err(error) = replaced.await {
            warn!("a password's hash was not renewed: {error}");
        }
    }
}

/// The one refusal of a sign-in.
pub(super) fn refused() -> Error {
    Error::new(Kind::Unauthenticated, "auth.refused", "The name or the password is wrong.")
}

/// What was typed, as it may be checked.
pub(super) fn offered(password: &str) -> Result<Offered> {
    Offered::new(password).map_err(|fault| unfit(vec![fault]))
}

/// A body that does not fit.
pub(super) fn unfit(faults: Vec<crate::Fault>) -> Error {
    Error::invalid("body.invalid", "The body does not fit.", faults)
}
