//! Accounts in memory.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use jiff::Timestamp;

use super::held;
use crate::users::{Account, Role, Username, Users, email_key};
use crate::{Error, Result, UserId};

#[derive(Default)]
pub struct MemoryUsers {
    accounts: Mutex<BTreeMap<UserId, Account>>,
}

impl MemoryUsers {
    /// Adds the account or replaces the one with its id.
    pub fn put(&self, account: Account) {
        held(&self.accounts).insert(account.user.id, account);
    }

    pub fn forget(&self, id: UserId) {
        held(&self.accounts).remove(&id);
    }

    fn find(&self, wanted: impl Fn(&Account) -> bool) -> Option<Account> {
        let now = Timestamp::now();
        held(&self.accounts).values().find(|account| lives(account, now) && wanted(account)).cloned()
    }

    fn change(&self, id: UserId, change: impl FnOnce(&mut Account)) -> Option<Account> {
        let mut accounts = held(&self.accounts);
        let account = accounts.get_mut(&id).filter(|account| lives(account, Timestamp::now()))?;
        change(account);
        Some(account.clone())
    }
}

#[async_trait]
impl Users for MemoryUsers {
    async fn by_email(&self, email: &str) -> Result<Option<Account>> {
        let wanted = Some(email_key(email));
        Ok(self.find(|account| account.user.email.as_deref().map(email_key) == wanted))
    }

    async fn by_username(&self, name: &Username) -> Result<Option<Account>> {
        Ok(self.find(|account| username_key(account).as_deref() == Some(&name.key())))
    }

    async fn by_id(&self, id: UserId) -> Result<Option<Account>> {
        Ok(self.find(|account| account.user.id == id))
    }

    async fn list(&self, after: Option<UserId>, limit: u32) -> Result<Vec<Account>> {
        let accounts = held(&self.accounts);
        let stays = accounts.values().filter(|account| account.expires_at.is_none());
        let later = stays.filter(|account| after.is_none_or(|after| account.user.id > after));
        Ok(later.take(limit as usize).cloned().collect())
    }

    async fn add(&self, account: &Account) -> Result<bool> {
        let new = &account.user;
        if new.role == Role::System {
            return Err(Error::conflict("user.role_reserved", "No user can have this role."));
        }
        let now = Timestamp::now();
        let email = new.email.as_deref().map(email_key);
        let mut accounts = held(&self.accounts);
        accounts.retain(|_, account| lives(account, now));
        let taken = accounts.values().any(|other| {
            other.user.id == new.id
                || (email.is_some() && other.user.email.as_deref().map(email_key) == email)
                || (new.username.is_some() && username_key(other) == username_key(account))
        });
        if !taken {
            accounts.insert(new.id, account.clone());
        }
        Ok(!taken)
    }

    async fn set_disabled(&self, id: UserId, disabled: bool) -> Result<Option<Account>> {
        Ok(self.change(id, |account| {
            account.disabled = disabled;
            account.generation += i64::from(disabled);
        }))
    }

    async fn set_role(&self, id: UserId, role: Role) -> Result<Option<Account>> {
        if role == Role::System {
            return Err(Error::conflict("user.role_reserved", "No user can have this role."));
        }
        if held(&self.accounts).get(&id).is_none_or(|account| account.expires_at.is_some()) {
            return Ok(None);
        }
        Ok(self.change(id, |account| {
            account.user.role = role;
            account.generation += 1;
        }))
    }

    async fn replace_hash(&self, id: UserId, old: &str, new: &str) -> Result<bool> {
        let mut replaced = false;
        self.change(id, |account| {
            replaced = account.password_hash.as_deref() == Some(old);
            if replaced {
                account.password_hash = Some(new.to_owned());
            }
        });
        Ok(replaced)
    }
}

fn lives(account: &Account, now: Timestamp) -> bool {
    account.expires_at.is_none_or(|end| now < end)
}

fn username_key(account: &Account) -> Option<String> {
    account.user.username.as_deref().map(str::to_ascii_lowercase)
}
