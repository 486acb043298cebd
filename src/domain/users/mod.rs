//! Who may call, and as what; how they sign in.

mod access;
mod accounts;
mod attempts;
mod credentials;
mod identity;
mod logins;
mod name;
mod password_check;
mod port;
mod revocations;
mod sign_in;
mod trivial;

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::UserId;

pub use access::Access;
pub use accounts::Accounts;
pub use attempts::{Attempts, Unlimited};
pub use credentials::{Issued, Offered, Passwords, Stamp, Tokens, Verified};
pub use identity::{Identity, Parts, Times};
pub use logins::{Family, FamilyState, Granted, LoginStore, Logins, RefreshHash, Rotation, Verdict, judge};
pub use name::{Username, email_fault, email_key};
pub use port::Users;
pub use revocations::{Mark, Revocation, RevocationStore, Revocations, Revoked, follow};
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
    /// Counts up whenever the account's tokens were ended: a token of an earlier one is no longer good.
    pub generation: i64,
    /// When a temporary user's name is free again; none for an account that stays.
    pub expires_at: Option<Timestamp>,
}

impl Account {
    /// A new account that stays, without a password.
    pub fn new(user: User) -> Self {
        Self { user, password_hash: None, disabled: false, generation: 0, expires_at: None }
    }

    pub fn with_password(self, hash: String) -> Self {
        Self { password_hash: Some(hash), ..self }
    }

    /// Whether it may have a token at this time.
    pub fn is_open(&self, at: Timestamp) -> bool {
        !self.disabled && self.expires_at.is_none_or(|end| at < end)
    }
}
