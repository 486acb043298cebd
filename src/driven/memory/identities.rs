//! People whom providers vouch for, over any accounts and any outbox.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use flow_domain::openid::{Admitted, Identities, OAuthTokens, Origin, Profile, SignInJournal, UserCreated};
use flow_domain::queue::Outbox;
use flow_domain::users::{Account, User, Users};
use flow_domain::{Error, EventId, Result, UserId};

use super::lock;

pub struct MemoryIdentities {
    users: Arc<dyn Users>,
    outbox: Arc<dyn Outbox>,
    tokens: Mutex<BTreeMap<UserId, OAuthTokens>>,
    handled: Mutex<BTreeSet<(String, EventId)>>,
}

impl MemoryIdentities {
    pub fn new(users: Arc<dyn Users>, outbox: Arc<dyn Outbox>) -> Self {
        Self { users, outbox, tokens: Mutex::default(), handled: Mutex::default() }
    }

    async fn add(&self, user: &User) -> Result<bool> {
        if self.users.add(&Account::new(user.clone())).await? {
            return Ok(true);
        }
        let nameless = User { email: None, username: None, ..user.clone() };
        self.users.add(&Account::new(nameless)).await
    }
}

#[async_trait]
impl Identities for MemoryIdentities {
    async fn admit(&self, profile: &Profile) -> Result<Admitted> {
        let user = profile.user();
        let made = self.add(&user).await?;
        if made {
            let created = UserCreated { user: user.clone(), identity: Some(profile.subject.clone()) };
            self.outbox.add(&[created.event()?]).await?;
        }
        let account = self.users.by_id(user.id).await?;
        let account = account.ok_or_else(|| Error::internal("an account went away while it was made"))?;
        Ok(Admitted { account, made })
    }

    async fn store(&self, created: &UserCreated, consumer: &str, event: EventId) -> Result<bool> {
        if !lock(&self.handled).insert((consumer.to_owned(), event)) {
            return Ok(false);
        }
        self.add(&created.user).await
    }

    async fn keep_tokens(&self, user: UserId, tokens: &OAuthTokens) -> Result<()> {
        lock(&self.tokens).insert(user, tokens.clone());
        Ok(())
    }

    async fn tokens(&self, user: UserId) -> Result<Option<OAuthTokens>> {
        Ok(lock(&self.tokens).get(&user).cloned())
    }
}

/// The journal of sign-ins.
#[derive(Default)]
pub struct MemorySignInJournal(Mutex<Vec<(UserId, String, Origin)>>);

impl MemorySignInJournal {
    pub fn of(&self, user: UserId) -> Vec<(String, Origin)> {
        let entries = lock(&self.0);
        let own = entries.iter().filter(|(who, ..)| *who == user);
        own.map(|(_, door, origin)| (door.clone(), origin.clone())).collect()
    }
}

#[async_trait]
impl SignInJournal for MemorySignInJournal {
    async fn record(&self, user: UserId, door: &str, origin: &Origin) -> Result<()> {
        lock(&self.0).push((user, door.to_owned(), origin.plain()));
        Ok(())
    }
}
