//! Accounts.

use std::sync::Mutex;

use async_trait::async_trait;
use flow_domain::users::{Account, Role, Users, email_key};
use flow_domain::{Error, Result, UserId};

use super::lock;

#[derive(Default)]
pub struct MemoryUsers {
    accounts: Mutex<Vec<Account>>,
}

impl MemoryUsers {
    fn find(&self, wanted: impl Fn(&Account) -> bool) -> Option<Account> {
        lock(&self.accounts).iter().find(|account| wanted(account)).cloned()
    }
}

#[async_trait]
impl Users for MemoryUsers {
    async fn by_email(&self, email: &str) -> Result<Option<Account>> {
        let wanted = Some(email_key(email));
        Ok(self.find(|account| account.user.email.as_deref().map(email_key) == wanted))
    }

    async fn by_id(&self, id: UserId) -> Result<Option<Account>> {
        Ok(self.find(|account| account.user.id == id))
    }

    async fn add(&self, account: &Account) -> Result<bool> {
        let user = &account.user;
        if user.role == Role::System {
            return Err(Error::conflict("user.role_reserved", "No user can have this role."));
        }
        let email = user.email.as_deref().map(email_key);
        let mut accounts = lock(&self.accounts);
        let taken = accounts.iter().any(|Account { user: other, .. }| {
            other.id == user.id
                || (email.is_some() && other.email.as_deref().map(email_key) == email)
                || (user.username.is_some() && other.username == user.username)
        });
        if !taken {
            accounts.push(account.clone());
        }
        Ok(!taken)
    }
}
