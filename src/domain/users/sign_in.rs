//! The doors of `/login`: an address, a name or nothing.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use unicode_normalization::UnicodeNormalization;

use super::name::MAX_EMAIL_BYTES;
use super::password_check::{PasswordCheck, offered, refused, unfit};
use super::{Account, Accounts, Offered, Role, Stamp, Tokens, User, Username, email_key};
use crate::{Error, Kind, Result, UserId};

/// A temporary name stays taken for this long after its token's end: no clock of ours is so far behind that it would
/// still take the old owner's token when the name has a new one.
const NAME_OUTLIVES_TOKEN: Duration = Duration::from_secs(60);

/// The service behind `/login` and `/token`: one token each, and nothing to renew it with.
pub struct SignIn {
    pub(super) check: Arc<PasswordCheck>,
    pub(super) accounts: Arc<Accounts>,
    pub(super) tokens: Arc<dyn Tokens>,
    pub(super) ttl: Duration,
    pub(super) open_signup: bool,
}

/// Someone who has signed in.
#[derive(Clone)]
pub struct SignedIn {
    pub user: User,
    pub token: String,
    pub expires_in_s: u64,
}

impl fmt::Debug for SignedIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedIn").field("user", &self.user.id).finish_non_exhaustive()
    }
}

impl SignIn {
    /// With an e-mail address.
    pub async fn by_email(&self, email: &str, password: &str, from: Option<IpAddr>) -> Result<SignedIn> {
        let account = self.account(email, password, from).await?;
        self.admit(account.user, account.generation)
    }

    /// The account behind an address and its password.
    pub(super) async fn account(&self, email: &str, password: &str, from: Option<IpAddr>) -> Result<Account> {
        let password = offered(password)?;
        let email: String = email.nfc().collect();
        let account = match email.len() <= MAX_EMAIL_BYTES && !email.contains('\0') {
            true => self.check.users.by_email(&email).await?,
            false => None,
        };
        // Longer ones are all one: nobody fills the memory with them.
        let key: String = email_key(&email).chars().take(MAX_EMAIL_BYTES).collect();
        self.check.check(&key, account, &password, from).await
    }

    /// With a name and a password. A name that nobody has is given, as a learner's, if sign-up is open.
    pub async fn by_name(&self, name: &str, password: &str, from: Option<IpAddr>) -> Result<SignedIn> {
        let name = Username::parse(name).map_err(|fault| unfit(vec![fault]))?;
        let password = offered(password)?;
        let mut account = self.check.users.by_username(&name).await?;
        if account.is_none() && self.open_signup {
            match self.sign_up(&name, &password, from).await? {
                Some(user) => return self.admit(user, 0),
                // Somebody else was quicker.
                None => account = self.check.users.by_username(&name).await?,
            }
        }
        let account = self.check.check(&name.key(), account, &password, from).await?;
        self.admit(account.user, account.generation)
    }

    async fn sign_up(
        &self,
        name: &Username,
        password: &Offered,
        from: Option<IpAddr>,
    ) -> Result<Option<User>> {
        let user = User {
            id: UserId::new(),
            email: None,
            username: Some(name.as_str().to_owned()),
            name: None,
            role: Role::Learner,
        };
        self.accounts.open(user, password, from).await
    }

    /// With a name alone: a temporary user, whose name nobody else has until the token ends.
    pub async fn by_name_alone(&self, name: &str, from: Option<IpAddr>) -> Result<SignedIn> {
        let name = Username::parse(name).map_err(|fault| unfit(vec![fault]))?;
        self.check.attempts.may_open(from)?;
        let user = User { username: Some(name.as_str().to_owned()), ..nobody() };
        let end = Timestamp::now().checked_add(self.ttl + NAME_OUTLIVES_TOKEN).map_err(Error::internal)?;
        let account = Account { expires_at: Some(end), ..Account::new(user) };
        match self.check.users.add(&account).await? {
            true => self.admit(account.user, 0),
            false => Err(Error::new(
                Kind::Unauthenticated,
                "auth.name_taken",
                "Somebody has this name; choose another, or sign in with its password.",
            )),
        }
    }

    /// With nothing: a token for rooms, remembered nowhere.
    pub fn anonymous(&self) -> Result<SignedIn> {
        self.admit(nobody(), 0)
    }

    fn admit(&self, user: User, generation: i64) -> Result<SignedIn> {
        if user.role == Role::System {
            return Err(refused());
        }
        let token = self.tokens.issue(&user, Stamp { generation, family: None }, self.ttl)?.token;
        Ok(SignedIn { user, token, expires_in_s: self.ttl.as_secs() })
    }
}

fn nobody() -> User {
    User { id: UserId::new(), email: None, username: None, name: None, role: Role::Anonymous }
}

#[cfg(test)]
mod tests;
