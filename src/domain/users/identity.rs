//! All of it together.

use std::sync::Arc;
use std::time::Duration;

use super::password_check::PasswordCheck;
use super::{
    Access, Accounts, Attempts, LoginStore, Logins, Passwords, RevocationStore, Revocations, SignIn, Tokens,
    Users,
};

/// What signing in needs from outside.
#[derive(Clone)]
pub struct Parts {
    pub users: Arc<dyn Users>,
    pub passwords: Arc<dyn Passwords>,
    pub tokens: Arc<dyn Tokens>,
    pub logins: Arc<dyn LoginStore>,
    pub revocations: Arc<dyn RevocationStore>,
    pub attempts: Arc<dyn Attempts>,
}

/// How long tokens are good.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Of `/login` and `/token`.
    pub token: Duration,
    /// Of `/auth/*`.
    pub access: Duration,
    /// Of a login of `/auth/*` with all its renewals.
    pub refresh: Duration,
}

/// Every way in, over one set of users and one set of tokens.
pub struct Identity {
    pub access: Access,
    pub sign_in: Arc<SignIn>,
    pub logins: Logins,
    pub accounts: Arc<Accounts>,
    pub revocations: Arc<Revocations>,
    pub tokens: Arc<dyn Tokens>,
    pub attempts: Arc<dyn Attempts>,
}

impl Identity {
    /// `open_signup`: whether anyone may make an account.
    pub fn new(parts: Parts, times: Times, open_signup: bool) -> Self {
        let Parts { users, passwords, tokens, logins, revocations, attempts } = parts;
        let revocations = Arc::new(Revocations::new(revocations));
        let check = Arc::new(PasswordCheck { users: users.clone(), passwords, attempts: attempts.clone() });
        let accounts = Arc::new(Accounts {
            users: users.clone(),
            check: check.clone(),
            revocations: revocations.clone(),
            longest_ttl: times.token.max(times.access),
            open_signup,
        });
        let sign_in = Arc::new(SignIn {
            check,
            accounts: accounts.clone(),
            tokens: tokens.clone(),
            ttl: times.token,
            open_signup,
        });
        let logins = Logins {
            sign_in: sign_in.clone(),
            users: users.clone(),
            tokens: tokens.clone(),
            store: logins,
            revocations: revocations.clone(),
            access_ttl: times.access,
            refresh_ttl: times.refresh,
        };
        let access = Access::new(tokens.clone(), revocations.clone(), users);
        Self { access, sign_in, logins, accounts, revocations, tokens, attempts }
    }
}
