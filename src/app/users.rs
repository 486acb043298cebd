//! Accounts by the command line: the same service over the same database as behind the HTTP interface.

use std::sync::Arc;
use std::time::Duration;

use flow_domain::users::{
    Account, Identity, Offered, Parts, Role, Times, Unlimited, User, Username, Users, email_fault,
};
use flow_domain::{Error, Fault, UserId};
use tokio_postgres::Config as PgConfig;

use super::identity::passwords;
use super::late_tokens::LateTokens;
use super::place::with_database;
use crate::config::Config;
use crate::driven::postgres::{PgLogins, PgPool, PgRevocations, PgUsers, PoolSettings};
use crate::driven::start_error::StartError;

/// Accounts a page.
const PAGE: u32 = 200;

/// What to do with which account; `who` is an id, an e-mail address or a username.
#[derive(Clone, Debug)]
pub enum Change {
    Add {
        email: Option<String>,
        username: Option<String>,
        name: Option<String>,
        role: Role,
        password: String,
    },
    Disable {
        who: String,
    },
    Enable {
        who: String,
    },
    Role {
        who: String,
        role: Role,
    },
}

/// Makes the change and answers the account as it is then.
pub fn change(config: &Config, change: Change) -> Result<Account, StartError> {
    with_accounts(config, async |desk| match change {
        Change::Add { email, username, name, role, password } => {
            desk.add(User { id: UserId::new(), email, username, name, role }, &password).await
        }
        Change::Disable { who } => desk.identity.accounts.disable(None, desk.find(&who).await?).await,
        Change::Enable { who } => desk.identity.accounts.enable(None, desk.find(&who).await?).await,
        Change::Role { who, role } => {
            desk.identity.accounts.set_role(None, desk.find(&who).await?, role).await
        }
    })
}

/// All accounts that stay, by age.
pub fn list(config: &Config) -> Result<Vec<Account>, StartError> {
    with_accounts(config, async |desk| {
        let mut all: Vec<Account> = Vec::new();
        loop {
            let after = all.last().map(|account| account.user.id);
            let page = desk.identity.accounts.list(after, PAGE).await?;
            let last = page.len() < PAGE as usize;
            all.extend(page);
            if last {
                return Ok(all);
            }
        }
    })
}

struct Desk {
    identity: Identity,
    users: Arc<dyn Users>,
}

impl Desk {
    async fn add(&self, user: User, password: &str) -> Result<Account, Error> {
        let username = user.username.as_deref().map(Username::parse).transpose();
        let offered = Offered::chosen(password);
        let nameless = user.email.is_none() && user.username.is_none();
        let faults = [
            user.email.as_deref().and_then(email_fault),
            username.err(),
            offered.as_ref().err().cloned(),
            nameless
                .then(|| Fault::new("/email", "user.nameless", "It needs an e-mail address or a username.")),
        ];
        let faults: Vec<Fault> = faults.into_iter().flatten().collect();
        let (Ok(offered), true) = (offered, faults.is_empty()) else {
            let all: Vec<&str> = faults.iter().map(|fault| fault.detail.as_str()).collect();
            return Err(Error::invalid("user.invalid", all.join(" "), faults));
        };
        let taken = || Error::conflict("user.exists", "Another user has this e-mail address or username.");
        let user = self.identity.accounts.open(user, &offered, None).await?.ok_or_else(taken)?;
        Ok(Account::new(user))
    }

    async fn find(&self, who: &str) -> Result<UserId, Error> {
        let unknown = || Error::not_found("user.unknown", format!("There is no user {who:?}."));
        if let Some(id) = UserId::parse(who) {
            return Ok(id);
        }
        let found = match Username::parse(who) {
            Ok(name) => self.users.by_username(&name).await?,
            Err(_) => self.users.by_email(who).await?,
        };
        found.map(|account| account.user.id).ok_or_else(unknown)
    }
}

fn with_accounts<T>(
    config: &Config,
    work: impl AsyncFnOnce(Desk) -> Result<T, Error>,
) -> Result<T, StartError> {
    with_database(config, async |database| work(desk(config, database).map_err(Error::internal)?).await)
}

fn desk(config: &Config, database: &PgConfig) -> Result<Desk, String> {
    let pool = PgPool::new(database, &PoolSettings { size: 1, ..PoolSettings::default() });
    let users: Arc<dyn Users> = Arc::new(PgUsers::new(pool.clone()));
    let parts = Parts {
        users: users.clone(),
        passwords: Arc::new(passwords(1)?),
        // Nobody signs in here.
        tokens: Arc::new(LateTokens::default()),
        logins: Arc::new(PgLogins::new(pool.clone())),
        revocations: Arc::new(PgRevocations::new(pool, database.clone())),
        attempts: Arc::new(Unlimited),
    };
    let seconds = |seconds: u32| Duration::from_secs(seconds.into());
    let times = Times {
        token: seconds(config.auth.token_ttl_s.get()),
        access: seconds(config.auth.access_ttl_s.get()),
        refresh: seconds(config.auth.refresh_ttl_s.get()),
    };
    Ok(Desk { identity: Identity::new(parts, times, true), users })
}
