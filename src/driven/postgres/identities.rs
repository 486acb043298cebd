//! People whom providers vouch for.

use std::sync::Arc;

use async_trait::async_trait;
use deadpool_postgres::GenericClient;
use flow_domain::openid::{Admitted, Identities, OAuthTokens, Profile, Subject, UserCreated};
use flow_domain::sealed::{Sealed, Sealer};
use flow_domain::users::{Account, User, Users};
use flow_domain::{Error, EventId, Result, UserId};

use super::error;
use super::pool::{PgPool, column, execute, query_opt};
use super::queue::{inbox, store};
use super::users::{PgUsers, insert};

const KNOWN: &str = "select id from app_user where id = $1::uuid";
const LINK: &str = "
    insert into identity (issuer, subject, user_id) values ($1::text, $2::text, $3::uuid)
    on conflict do nothing";
const KEEP: &str = "
    insert into oauth_token (user_id, key_id, nonce, ciphertext)
    values ($1::uuid, $2::text, $3::bytea, $4::bytea)
    on conflict (user_id) do update
    set key_id = excluded.key_id, nonce = excluded.nonce, ciphertext = excluded.ciphertext, kept_at = now()";
const KEPT: &str = "select key_id, nonce, ciphertext from oauth_token where user_id = $1::uuid";

#[derive(Clone)]
pub struct PgIdentities {
    pool: PgPool,
    sealer: Arc<dyn Sealer>,
}

impl PgIdentities {
    pub fn new(pool: PgPool, sealer: Arc<dyn Sealer>) -> Self {
        Self { pool, sealer }
    }
}

#[async_trait]
impl Identities for PgIdentities {
    async fn admit(&self, profile: &Profile) -> Result<Admitted> {
        let user = profile.user();
        let users = PgUsers::new(self.pool.clone());
        // Every sign-in but the first ends here.
        if let Some(account) = users.by_id(user.id).await? {
            return Ok(Admitted { account, made: false });
        }
        let mut client = self.pool.client().await?;
        let transaction = client.transaction().await.map_err(error::from)?;
        let made = add(&transaction, &user, Some(&profile.subject)).await?;
        if made {
            let created = UserCreated { user: user.clone(), identity: Some(profile.subject.clone()) };
            store(&transaction, &[created.event()?]).await?;
        }
        transaction.commit().await.map_err(error::from)?;
        // Whoever holds a connection and waits for another waits for those who do the same.
        drop(client);
        let account = users.by_id(user.id).await?;
        let account = account.ok_or_else(|| Error::internal("an account went away while it was made"))?;
        Ok(Admitted { account, made })
    }

    async fn store(&self, created: &UserCreated, consumer: &str, event: EventId) -> Result<bool> {
        let mut client = self.pool.client().await?;
        let transaction = client.transaction().await.map_err(error::from)?;
        if !inbox::enter(&transaction, consumer, event).await? {
            return Ok(false);
        }
        let made = add(&transaction, &created.user, created.identity.as_ref()).await?;
        transaction.commit().await.map_err(error::from)?;
        Ok(made)
    }

    async fn keep_tokens(&self, user: UserId, tokens: &OAuthTokens) -> Result<()> {
        let plain = serde_json::to_vec(tokens).map_err(Error::internal)?;
        let Sealed { key_id, nonce, ciphertext } = self.sealer.seal(&bound_to(user), &plain)?;
        self.pool.execute(KEEP, &[&user.0, &key_id, &nonce, &ciphertext]).await.map(drop)
    }

    async fn tokens(&self, user: UserId) -> Result<Option<OAuthTokens>> {
        let Some(row) = self.pool.query_opt(KEPT, &[&user.0]).await? else { return Ok(None) };
        let sealed = Sealed {
            key_id: column(&row, "key_id")?,
            nonce: column(&row, "nonce")?,
            ciphertext: column(&row, "ciphertext")?,
        };
        let plain = self.sealer.open(&bound_to(user), &sealed)?;
        serde_json::from_slice(&plain).map(Some).map_err(Error::internal)
    }
}

/// Adds the account unless it is there, without its address when another account has that.
async fn add(client: &impl GenericClient, user: &User, identity: Option<&Subject>) -> Result<bool> {
    let mut made = insert(client, &Account::new(user.clone())).await?;
    // A second insert of one id has waited for the first one's commit, so it is seen here.
    if !made && query_opt(client, KNOWN, &[&user.id.0]).await?.is_none() {
        let nameless = User { email: None, username: None, ..user.clone() };
        made = insert(client, &Account::new(nameless)).await?;
    }
    if let Some(Subject { issuer, subject }) = identity {
        execute(client, LINK, &[issuer, subject, &user.id.0]).await?;
    }
    Ok(made)
}

/// What a ciphertext is bound to, so that a row cannot pass as another user's.
fn bound_to(user: UserId) -> String {
    format!("oauth tokens of {user}")
}
