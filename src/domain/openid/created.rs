//! The event that an account was created, and who listens to it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Identities, Subject};
use crate::cache::{Cache, user_key};
use crate::flows::Flows;
use crate::flows::store::{EVENT_SCOPE, Idempotency};
use crate::queue::{Event, Handler, Subscription};
use crate::users::{Caller, Role, User, Users};
use crate::{Error, EventId, Result, UserId, hex};

/// The topic.
pub const USER_CREATED: &str = "user.created";
/// Of the events' ids, which are made from the user's: told twice, it is one event.
const NAMESPACE: Uuid = Uuid::from_u128(0x2f6d_9e11_35c2_4f5e_8d7e_0a86_b1c4_90d3);
/// With the pauses between them, some ten minutes.
const DELIVERY_LIMIT: u32 = 12;
/// How long a cached user is taken for granted.
pub const USER_CACHED_FOR: Duration = Duration::from_secs(60);

/// What the event says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserCreated {
    pub user: User,
    /// Who vouches for them; none for accounts of our own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Subject>,
}

impl UserCreated {
    pub fn event(&self) -> Result<Event> {
        let id = EventId(Uuid::new_v5(&NAMESPACE, self.user.id.0.as_bytes()));
        let data = serde_json::to_value(self).map_err(Error::internal)?;
        Ok(Event::new(USER_CREATED, self.user.id.to_string(), data).with_id(id))
    }

    /// Only for a learner whom a provider vouches for is an account made from an event: every other account is stored
    /// before its event is.
    fn refuse_unfounded(&self) -> Result<()> {
        let vouched = self.identity.as_ref().is_some_and(|subject| subject.user_id() == self.user.id);
        if vouched && self.user.role == Role::Learner {
            return Ok(());
        }
        Err(Error::invalid("event.unfounded", "No account can be made from this event.", vec![]))
    }

    fn read(event: &Event) -> Result<Self> {
        serde_json::from_value(event.data.clone()).map_err(|error| {
            Error::invalid("event.unreadable", "The event has not the shape of its topic.", vec![])
                .because(error)
        })
    }
}

/// Stores the user of each event once.
pub struct StoreUser {
    pub identities: Arc<dyn Identities>,
    pub users: Arc<dyn Users>,
    pub cache: Arc<dyn Cache>,
}

const STORE_USER: &str = "store-user";

#[async_trait]
impl Handler for StoreUser {
    fn subscription(&self) -> Subscription {
        let topics = vec![USER_CREATED.to_owned()];
        Subscription { consumer: STORE_USER.into(), topics, delivery_limit: DELIVERY_LIMIT }
    }

    async fn handle(&self, event: &Event) -> Result<()> {
        let created = UserCreated::read(event)?;
        let key = user_key(created.user.id);
        // Only what is stored is ever cached. A cache that is away is no reason not to store.
        if matches!(self.cache.get(&key).await, Ok(Some(_))) {
            return Ok(());
        }
        let known = self.users.by_id(created.user.id).await?;
        if known.is_none() {
            created.refuse_unfounded()?;
            self.identities.store(&created, STORE_USER, event.id).await?;
        }
        let stored = match known {
            Some(account) => Some(account),
            None => self.users.by_id(created.user.id).await?,
        };
        if let Some(account) = stored {
            let user = serde_json::to_vec(&account.user).map_err(Error::internal)?;
            let _ = self.cache.put(&key, user, USER_CACHED_FOR).await;
        }
        Ok(())
    }
}

/// Starts the flow `user-onboard` once for each new user, whichever door they came through.
pub struct Onboard {
    pub flows: Arc<Flows>,
}

const ONBOARD_FLOW: &str = "user-onboard";

#[async_trait]
impl Handler for Onboard {
    fn subscription(&self) -> Subscription {
        let topics = vec![USER_CREATED.to_owned()];
        Subscription { consumer: ONBOARD_FLOW.into(), topics, delivery_limit: DELIVERY_LIMIT }
    }

    async fn handle(&self, event: &Event) -> Result<()> {
        let created = UserCreated::read(event)?;
        // An operator may do without it.
        if self.flows.catalogue().get(ONBOARD_FLOW).is_none() {
            return Ok(());
        }
        let input = json!({"user": created.user.id});
        let once = Idempotency {
            caller: system().id,
            scope: format!("{EVENT_SCOPE}{ONBOARD_FLOW}"),
            key: event.id.to_string(),
            body_sha256: hex(Sha256::digest(input.to_string())),
        };
        self.flows.start(&system(), json!(ONBOARD_FLOW), input, Some(once)).await.map(drop)
    }
}

/// Who events act as.
pub fn system() -> Caller {
    Caller { id: UserId(Uuid::nil()), role: Role::System }
}
