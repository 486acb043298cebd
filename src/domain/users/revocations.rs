//! Tokens that were ended before their time, known in memory on every replica.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::watch;

use super::Verified;
use crate::{Error, FamilyId, Result, UserId};

/// Between two looks at what other replicas recorded, when nothing tells of it sooner.
const POLL: Duration = Duration::from_secs(1);
/// Who has heard nothing for so long no longer knows which tokens are good.
const STALE: Duration = Duration::from_secs(30);
/// A token is accepted a little beyond its end, clocks being what they are; a revocation outlives that.
const OUTLIVES_TOKEN: Duration = Duration::from_secs(60);

/// What is ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// The token of this `jti`.
    Token(String),
    /// Every token of a login.
    Family(FamilyId),
    /// Every token of an account from before this generation.
    User { id: UserId, generation: i64 },
}

/// What is ended, and until when it must be remembered: then the tokens have ended by themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    pub what: Revocation,
    pub until: Timestamp,
}

/// How far a reader has come; only its own store can read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark(pub String);

/// Where revocations are kept for all replicas.
#[async_trait]
pub trait RevocationStore: Send + Sync {
    /// Durable, and seen by every later `read` of any process, before it answers.
    async fn record(&self, revoked: &Revoked) -> Result<()>;
    /// What was recorded since the mark, or everything that still matters; some of it perhaps again, none of it
    /// never.
    async fn read(&self, since: Option<&Mark>) -> Result<(Vec<Revoked>, Mark)>;
    /// Waits until something may have been recorded. It may wait for ever: who waits looks by itself too.
    async fn changed(&self);
    /// Forgets what has outlived its tokens; how many were forgotten.
    async fn forget(&self) -> Result<u64>;
}

#[derive(Default)]
struct Known {
    tokens: HashMap<String, Timestamp>,
    families: HashMap<FamilyId, Timestamp>,
    users: HashMap<UserId, (i64, Timestamp)>,
}

/// The list in memory, and its store.
pub struct Revocations {
    store: Arc<dyn RevocationStore>,
    known: RwLock<Known>,
    /// Told whenever something was learnt.
    news: watch::Sender<()>,
    /// When the store was last read, and how far; none before the first time, when there is nothing to be stale.
    read: Mutex<Option<(Instant, Mark)>>,
}

impl Revocations {
    pub fn new(store: Arc<dyn RevocationStore>) -> Self {
        Self { store, known: RwLock::default(), news: watch::Sender::new(()), read: Mutex::default() }
    }

    /// Ends tokens that live for `ttl` at most: here at once, elsewhere within two seconds.
    pub async fn revoke(&self, what: Revocation, ttl: Duration) -> Result<()> {
        let until = Timestamp::now().checked_add(ttl + OUTLIVES_TOKEN).map_err(Error::internal)?;
        let revoked = Revoked { what, until };
        self.store.record(&revoked).await?;
        self.learn(vec![revoked]);
        Ok(())
    }

    /// Whether a token was ended. `Unavailable` when the list is too old to say.
    pub fn covers(&self, token: &Verified) -> Result<bool> {
        let last = self.read.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|(at, _)| *at);
        if last.is_some_and(|at| at.elapsed() > STALE) {
            let public = "Whether the token is still good is not known at present; try again shortly.";
            return Err(Error::unavailable("auth.unknown", public));
        }
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let user = known.users.get(&token.caller.id);
        Ok(known.tokens.contains_key(&token.jti)
            || token.stamp.family.is_some_and(|family| known.families.contains_key(&family))
            || user.is_some_and(|(generation, _)| token.stamp.generation < *generation))
    }

    /// Waits until a token is ended.
    pub async fn until_covered(&self, token: &Verified) {
        let mut news = self.news.subscribe();
        while !matches!(self.covers(token), Ok(true)) {
            // It cannot fail: the sender is ours.
            let _ = news.changed().await;
        }
    }

    /// Reads what is new in the store. Called once before the first token is checked.
    pub async fn catch_up(&self) -> Result<()> {
        let mark =
            self.read.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|(_, mark)| mark.clone());
        let begun = Instant::now();
        let (new, mark) = self.store.read(mark.as_ref()).await?;
        self.learn(new);
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = Some((begun, mark));
        Ok(())
    }

    /// Forgets what has outlived its tokens, in the store.
    pub async fn forget(&self) -> Result<u64> {
        self.store.forget().await
    }

    fn learn(&self, new: Vec<Revoked>) {
        let something = !new.is_empty();
        let now = Timestamp::now();
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for Revoked { what, until } in new {
            match what {
                Revocation::Token(jti) => drop(known.tokens.insert(jti, until)),
                Revocation::Family(id) => drop(known.families.insert(id, until)),
                Revocation::User { id, generation } => {
                    let entry = known.users.entry(id).or_insert((generation, until));
                    *entry = (entry.0.max(generation), entry.1.max(until));
                }
            }
        }
        known.tokens.retain(|_, until| *until > now);
        known.families.retain(|_, until| *until > now);
        known.users.retain(|_, (_, until)| *until > now);
        drop(known);
        if something {
            self.news.send_replace(());
        }
    }
}

/// Keeps the list fresh for as long as the process lives.
pub async fn follow(revocations: Arc<Revocations>) {
    let mut failing = false;
    loop {
        match revocations.catch_up().await {
            Ok(()) => failing = false,
            Err(error) if !failing => {
                log::warn!("which tokens were revoked cannot be read: {error}");
                failing = true;
            }
            Err(_) => {}
        }
        let _ = tokio::time::timeout(POLL, revocations.store.changed()).await;
    }
}
