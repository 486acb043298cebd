//! Accounts in memory.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;

use super::held;
use crate::users::{Account, Users};
use crate::{Result, UserId};

#[derive(Default)]
pub struct MemoryUsers {
    accounts: Mutex<BTreeMap<UserId, Account>>,
}

impl MemoryUsers {
    /// Adds the account or replaces the one with its id.
    pub fn put(&self, account: Account) {
        held(&self.accounts).insert(account.user.id, account);
    }

    pub fn set_disabled(&self, id: UserId, disabled: bool) {
        if let Some(account) = held(&self.accounts).get_mut(&id) {
            account.disabled = disabled;
        }
    }

    pub fn forget(&self, id: UserId) {
        held(&self.accounts).remove(&id);
    }
}

#[async_trait]
impl Users for MemoryUsers {
    async fn by_email(&self, email: &str) -> Result<Option<Account>> {
        let same = |account: &&Account| {
            account.user.email.as_deref().is_some_and(|known| known.to_lowercase() == email.to_lowercase())
        };
        Ok(held(&self.accounts).values().find(same).cloned())
    }

    async fn by_id(&self, id: UserId) -> Result<Option<Account>> {
        Ok(held(&self.accounts).get(&id).cloned())
    }

    async fn add(&self, account: &Account) -> Result<bool> {
        let lower = |text: &Option<String>| text.as_ref().map(|text| text.to_lowercase());
        let mut accounts = held(&self.accounts);
        let new = &account.user;
        let taken = accounts.values().any(|Account { user, .. }| {
            user.id == new.id
                || (new.email.is_some() && lower(&user.email) == lower(&new.email))
                || (new.username.is_some() && user.username == new.username)
        });
        if !taken {
            accounts.insert(new.id, account.clone());
        }
        Ok(!taken)
    }
}
