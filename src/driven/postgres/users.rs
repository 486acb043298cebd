//! Accounts.

use async_trait::async_trait;
use flow_domain::users::{Account, Role, User, Users, email_key};
use flow_domain::{Error, Result, UserId};
use tokio_postgres::Row;
use uuid::Uuid;

use super::pool::{PgPool, column};

/// The demo user's address, the same wherever demo mode is on.
pub const DEMO_EMAIL: &str = "user3784mail@gmail.com";
/// The demo user's id, the same wherever demo mode is on.
pub const DEMO_USER: UserId = UserId(Uuid::from_u128(0x0197_0000_0000_7000_8000_0000_0000_3784));

const BY_EMAIL: &str = "
    select id, email, username, name, role, password_hash, disabled
    from app_user where email_key = $1::text";
const BY_ID: &str = "
    select id, email, username, name, role, password_hash, disabled
    from app_user where id = $1::uuid";
const ADD: &str = "
    insert into app_user (id, email, email_key, username, name, role, password_hash, disabled)
    values ($1::uuid, $2::text, $3::text, $4::text, $5::text, $6::text, $7::text, $8::boolean)
    on conflict do nothing";

#[derive(Clone)]
pub struct PgUsers {
    pool: PgPool,
}

impl PgUsers {
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
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

    async fn by_id(&self, id: UserId) -> Result<Option<Account>> {
        let row = self.pool.query_opt(BY_ID, &[&id.0]).await?;
        row.as_ref().map(account).transpose()
    }

    async fn add(&self, account: &Account) -> Result<bool> {
        let user = &account.user;
        let added = self
            .pool
            .execute(
                ADD,
                &[
                    &user.id.0,
                    &user.email,
                    &user.email.as_deref().map(email_key),
                    &user.username,
                    &user.name,
                    &user.role.as_str(),
                    &account.password_hash,
                    &account.disabled,
                ],
            )
            .await?;
        Ok(added == 1)
    }
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
    let account = Account { user, password_hash: Some(password_hash.into()), disabled: false };
    PgUsers::new(pool.clone()).add(&account).await
}

/// Whether the demo user can sign in here, whose password everyone knows.
pub async fn has_demo_user(pool: &PgPool) -> Result<bool> {
    let account = PgUsers::new(pool.clone()).by_id(DEMO_USER).await?;
    Ok(account.is_some_and(|account| !account.disabled))
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
    })
}
