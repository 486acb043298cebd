//! The port behind which accounts are kept.

use async_trait::async_trait;

use super::{Account, Role, Username};
use crate::{Result, UserId};

/// Where accounts are kept, temporary ones included. A temporary account whose time is over is as good as gone: no
/// call answers it, and its name is free.
#[async_trait]
pub trait Users: Send + Sync {
    /// E-mail addresses are compared without case.
    async fn by_email(&self, email: &str) -> Result<Option<Account>>;
    async fn by_username(&self, name: &Username) -> Result<Option<Account>>;
    async fn by_id(&self, id: UserId) -> Result<Option<Account>>;
    /// Accounts that stay, by id, those after `after`.
    async fn list(&self, after: Option<UserId>, limit: u32) -> Result<Vec<Account>>;
    /// Adds an account; one with this id, e-mail or username already there is left as it is, and `false` is
    /// answered. The role `system` is refused with `user.role_reserved`.
    async fn add(&self, account: &Account) -> Result<bool>;
    /// Opens or closes an account. Closing it counts its generation up. None: there is no such account.
    async fn set_disabled(&self, id: UserId, disabled: bool) -> Result<Option<Account>>;
    /// Gives a role and counts the generation up. None: there is no such account, or it is a temporary one.
    async fn set_role(&self, id: UserId, role: Role) -> Result<Option<Account>>;
    /// Puts a hash in the place of `old`; `false` when another was there by then.
    async fn replace_hash(&self, id: UserId, old: &str, new: &str) -> Result<bool>;
}
