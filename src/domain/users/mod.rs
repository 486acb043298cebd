//! Who may call, and as what; how they sign in.

mod credentials;
mod sign_in;

use std::fmt;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Result, UserId};

pub use credentials::{Issued, Offered, Passwords, Tokens, Verified};
pub use sign_in::{SignIn, SignedIn};

/// Roles in ascending order: each may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A visitor with a token and no account: rooms, and nothing else.
    Anonymous,
    /// Runs labs and whatever flows allow learners.
    Learner,
    /// Sees every run, posts definitions, undoes and releases.
    Operator,
    /// Manages users.
    Admin,
    /// Schedules and events; no person has it and no token carries it.
    System,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Anonymous => "anonymous",
            Role::Learner => "learner",
            Role::Operator => "operator",
            Role::Admin => "admin",
            Role::System => "system",
        }
    }

    /// Reads a stored or configured name.
    pub fn parse(name: &str) -> Option<Self> {
        [Role::Anonymous, Role::Learner, Role::Operator, Role::Admin, Role::System]
            .into_iter()
            .find(|role| role.as_str() == name)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who stands behind a request or a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    pub id: UserId,
    pub role: Role,
}

impl Caller {
    /// Who starts what starts by itself: schedules and events.
    pub fn system() -> Self {
        Self { id: UserId(uuid::Uuid::nil()), role: Role::System }
    }

    /// Operators and above see what belongs to others.
    pub fn sees(&self, owner: UserId) -> bool {
        self.role >= Role::Operator || self.id == owner
    }
}

/// An account, without its password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct User {
    pub id: UserId,
    pub email: Option<String>,
    pub username: Option<String>,
    pub name: Option<String>,
    pub role: Role,
}

/// An account with what a sign-in needs to know.
#[derive(Clone)]
pub struct Account {
    pub user: User,
    /// bcrypt, or none for accounts that sign in elsewhere.
    pub password_hash: Option<String>,
    pub disabled: bool,
}

/// An e-mail address as it is compared: without case, whatever the script.
pub fn email_key(email: &str) -> String {
    email.trim().to_lowercase()
}

/// Where accounts are kept.
#[async_trait]
pub trait Users: Send + Sync {
    /// E-mail addresses are compared without case.
    async fn by_email(&self, email: &str) -> Result<Option<Account>>;
    async fn by_id(&self, id: UserId) -> Result<Option<Account>>;
    /// Adds an account; one with this e-mail or username already there is left as it is, and `false` is answered.
    async fn add(&self, account: &Account) -> Result<bool>;
}
