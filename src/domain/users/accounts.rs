//! Accounts: made, listed, closed, opened again, given another role.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use log::info;

use super::password_check::{PasswordCheck, unfit};
use super::{Account, Caller, Offered, Revocation, Revocations, Role, User, Users, email_fault};
use crate::{Error, Fault, Result, UserId};

const MAX_NAME_CHARS: usize = 200;

/// The service through which every account is made and changed, whichever the door.
pub struct Accounts {
    pub(super) users: Arc<dyn Users>,
    pub(super) check: Arc<PasswordCheck>,
    pub(super) revocations: Arc<Revocations>,
    /// No token lives longer than this.
    pub(super) longest_ttl: Duration,
    pub(super) open_signup: bool,
}

impl Accounts {
    /// Whether anyone may make an account.
    pub fn are_open(&self) -> bool {
        self.open_signup
    }

    /// Makes an account with a password; none: its name or address is taken. A password that will not do is
    /// `body.invalid`.
    pub async fn open(&self, user: User, password: &Offered, from: Option<IpAddr>) -> Result<Option<User>> {
        password.strong_enough().map_err(|fault| unfit(vec![fault]))?;
        self.check.attempts.may_open(from)?;
        let hash = self.check.passwords.hash(password).await?;
        let added = self.users.add(&Account::new(user.clone()).with_password(hash)).await?;
        Ok(added.then_some(user))
    }

    /// A learner who registers with an address, which is taken as given: nobody has checked that it is theirs.
    pub async fn register(
        &self,
        email: &str,
        password: &str,
        name: Option<&str>,
        from: Option<IpAddr>,
    ) -> Result<User> {
        if !self.open_signup {
            return Err(Error::forbidden("auth.signup_closed", "Nobody can register here; ask an admin."));
        }
        let password = Offered::chosen(password);
        let faults = [email_fault(email), name.and_then(name_fault), password.clone().err()];
        let (Ok(password), [None, None, None]) = (password, &faults) else {
            return Err(unfit(faults.into_iter().flatten().collect()));
        };
        let user = User {
            id: UserId::new(),
            email: Some(email.to_owned()),
            username: None,
            name: name.map(str::to_owned),
            role: Role::Learner,
        };
        let taken = || Error::conflict("user.email_taken", "Another user has this e-mail address.");
        self.open(user, &password, from).await?.ok_or_else(taken)
    }

    /// By id, those after `after`; temporary users are not among them.
    pub async fn list(&self, after: Option<UserId>, limit: u32) -> Result<Vec<Account>> {
        self.users.list(after, limit).await
    }

    /// Closes an account and ends its tokens on every replica.
    pub async fn disable(&self, by: Option<&Caller>, id: UserId) -> Result<Account> {
        refuse_oneself(by, id, "user.self_disable", "You cannot close your own account.")?;
        let account = self.users.set_disabled(id, true).await?.ok_or_else(unknown)?;
        self.end_tokens(&account).await?;
        info!("user {id} disabled by {}", who(by));
        Ok(account)
    }

    pub async fn enable(&self, by: Option<&Caller>, id: UserId) -> Result<Account> {
        let account = self.users.set_disabled(id, false).await?.ok_or_else(unknown)?;
        info!("user {id} enabled by {}", who(by));
        Ok(account)
    }

    /// Gives a role and ends the account's tokens, which carry the old one.
    pub async fn set_role(&self, by: Option<&Caller>, id: UserId, role: Role) -> Result<Account> {
        refuse_oneself(by, id, "user.self_role", "You cannot change your own role.")?;
        if !(Role::Learner..=Role::Admin).contains(&role) {
            let fault = Fault::new("/role", "role.unknown", "A role is learner, operator or admin.");
            return Err(unfit(vec![fault]));
        }
        let account = self.users.set_role(id, role).await?.ok_or_else(unknown)?;
        self.end_tokens(&account).await?;
        info!("user {id} is now {role} by {}", who(by));
        Ok(account)
    }

    /// A failure here leaves the account changed and its tokens good; who asked is told, and asks again.
    async fn end_tokens(&self, account: &Account) -> Result<()> {
        let ended = Revocation::User { id: account.user.id, generation: account.generation };
        self.revocations.revoke(ended, self.longest_ttl).await
    }
}

/// The last admin must not lock the door from outside.
fn refuse_oneself(by: Option<&Caller>, id: UserId, code: &'static str, sentence: &str) -> Result<()> {
    match by {
        Some(caller) if caller.id == id => Err(Error::conflict(code, sentence)),
        _ => Ok(()),
    }
}

fn who(by: Option<&Caller>) -> String {
    by.map_or_else(|| "the command line".to_owned(), |caller| format!("user {}", caller.id))
}

fn name_fault(name: &str) -> Option<Fault> {
    let good = (1..=MAX_NAME_CHARS).contains(&name.chars().count()) && !name.contains(char::is_control);
    (!good).then(|| Fault::new("/name", "name.invalid", "A name is 1 to 200 characters of plain text."))
}

fn unknown() -> Error {
    Error::not_found("user.unknown", "There is no such user.")
}
