//! Accounts.

use async_trait::async_trait;
use deadpool_postgres::GenericClient;
use flow_domain::openid::UserCreated;
use flow_domain::users::{Account, Role, User, Username, Users, email_key};
use flow_domain::{Error, Result, UserId};
use tokio_postgres::Row;
use uuid::Uuid;

use super::pool::{PgPool, column, execute};
use super::{error, queue};

/// The demo user's address, the same wherever demo mode is on.
pub const DEMO_EMAIL: &str = "user3784mail@gmail.com";
/// The demo user's id, the same wherever demo mode is on.
pub const DEMO_USER: UserId = UserId(Uuid::from_u128(0x0197_0000_0000_7000_8000_0000_0000_3784));

const BY_EMAIL: &str = "
    select id, email, username, name, role, password_hash, disabled, generation, expires_at
    from app_user where email_key = $1::text and (expires_at is null or expires_at > now())";
const BY_USERNAME: &str = "
    select id, email, username, name, role, password_hash, disabled, generation, expires_at
    from app_user where username_key = $1::text and (expires_at is null or expires_at > now())";
const BY_ID: &str = "
    select id, email, username, name, role, password_hash, disabled, generation, expires_at
    from app_user where id = $1::uuid and (expires_at is null or expires_at > now())";
const LIST: &str = "
    select id, email, username, name, role, password_hash, disabled, generation, expires_at
    from app_user where expires_at is null and ($1::uuid is null or id > $1::uuid)
    order by id limit $2::bigint";
const ADD: &str = "
    insert into app_user (id, email, email_key, username, username_key, name, role, password_hash, disabled,
        generation, expires_at)
    values ($1::uuid, $2::text, $3::text, $4::text, $5::text, $6::text, $7::text, $8::text, $9::boolean,
        $10::bigint, $11::timestamptz)
    on conflict do nothing";
const FREE_NAME: &str = "delete from app_user where username_key = $1::text and expires_at <= now()";
const FORGET: &str = "delete from app_user where expires_at <= now()";
const SET_DISABLED: &str = "
    update app_user set disabled = $2::boolean, generation = generation + $2::boolean::integer
    where id = $1::uuid and (expires_at is null or expires_at > now())
    returning id, email, username, name, role, password_hash, disabled, generation, expires_at";
const SET_ROLE: &str = "
    update app_user set role = $2::text, generation = generation + 1
    where id = $1::uuid and expires_at is null
    returning id, email, username, name, role, password_hash, disabled, generation, expires_at";
const REPLACE_HASH: &str = "
    update app_user set password_hash = $3::text where id = $1::uuid and password_hash = $2::text";

#[derive(Clone)]
pub struct PgUsers {
    pool: PgPool,
}

impl PgUsers {
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Forgets temporary users whose time is over; how many were forgotten.
    pub async fn forget(&self) -> Result<u64> {
        self.pool.execute(FORGET, &[]).await
    }
}

#[async_trait]
impl Users for PgUsers {
    async fn by_email(&self, email: &str) -> Result<Option<Account>> {
        // PostgreSQL refuses such text; a sign-in with it is an unknown address and nothing worse.
        if email.contains('\0') {
            return Ok(None);
        }
        let row = self.pool.query_opt(BY_EMAIL, &[&email_key(email)]).await?;
        row.as_ref().map(account).transpose()
    }

    async fn by_username(&self, name: &Username) -> Result<Option<Account>> {
        let row = self.pool.query_opt(BY_USERNAME, &[&name.key()]).await?;
        row.as_ref().map(account).transpose()
    }

    async fn by_id(&self, id: UserId) -> Result<Option<Account>> {
        let row = self.pool.query_opt(BY_ID, &[&id.0]).await?;
        row.as_ref().map(account).transpose()
    }

    async fn list(&self, after: Option<UserId>, limit: u32) -> Result<Vec<Account>> {
        let rows = self.pool.query(LIST, &[&after.map(|id| id.0), &i64::from(limit)]).await?;
        rows.iter().map(account).collect()
    }

    async fn add(&self, account: &Account) -> Result<bool> {
        let mut client = self.pool.client().await?;
        let transaction = client.transaction().await.map_err(error::from)?;
        let added = insert(&transaction, account).await?;
        // A temporary user has no directories, and is nobody's news.
        if added && account.expires_at.is_none() {
            let created = UserCreated { user: account.user.clone(), identity: None };
            queue::store(&transaction, &[created.event()?]).await?;
        }
        transaction.commit().await.map_err(error::from)?;
        Ok(added)
    }

    async fn set_disabled(&self, id: UserId, disabled: bool) -> Result<Option<Account>> {
        let row = self.pool.query_opt(SET_DISABLED, &[&id.0, &disabled]).await?;
        row.as_ref().map(account).transpose()
    }

    async fn set_role(&self, id: UserId, role: Role) -> Result<Option<Account>> {
        let row = self.pool.query_opt(SET_ROLE, &[&id.0, &role.as_str()]).await?;
        row.as_ref().map(account).transpose()
    }

    async fn replace_hash(&self, id: UserId, old: &str, new: &str) -> Result<bool> {
        Ok(self.pool.execute(REPLACE_HASH, &[&id.0, &old, &new]).await? == 1)
    }
}

/// Adds an account within a transaction; `false`: something of it is taken.
pub(super) async fn insert(client: &impl GenericClient, account: &Account) -> Result<bool> {
    let user = &account.user;
    let username_key = user.username.as_deref().map(str::to_ascii_lowercase);
    if username_key.is_some() {
        execute(client, FREE_NAME, &[&username_key]).await?;
    }
    let added = execute(
        client,
        ADD,
        &[
            &user.id.0,
            &user.email,
            &user.email.as_deref().map(email_key),
            &user.username,
            &username_key,
            &user.name,
            &user.role.as_str(),
            &account.password_hash,
            &account.disabled,
            &account.generation,
            &account.expires_at,
        ],
    )
    .await?;
    Ok(added == 1)
}

/// Adds the demo user, an operator, unless it is there; `false` when it was.
pub async fn seed_demo(pool: &PgPool, password_hash: &str) -> Result<bool> {
    let user = User {
        id: DEMO_USER,
        email: Some(DEMO_EMAIL.into()),
        username: None,
        name: Some("Demo".into()),
        role: Role::Operator,
    };
    insert(&pool.client().await?, &Account::new(user).with_password(password_hash.into())).await
}

/// The demo user, whose password everyone knows, if there is one.
pub async fn demo_user(pool: &PgPool) -> Result<Option<Account>> {
    PgUsers::new(pool.clone()).by_id(DEMO_USER).await
}

fn account(row: &Row) -> Result<Account> {
    let role: &str = column(row, "role")?;
    Ok(Account {
        user: User {
            id: UserId(column(row, "id")?),
            email: column(row, "email")?,
            username: column(row, "username")?,
            name: column(row, "name")?,
            role: Role::parse(role)
                .ok_or_else(|| Error::internal(format!("stored role {role} is unknown")))?,
        },
        password_hash: column(row, "password_hash")?,
        disabled: column(row, "disabled")?,
        generation: column(row, "generation")?,
        expires_at: column(row, "expires_at")?,
    })
}
