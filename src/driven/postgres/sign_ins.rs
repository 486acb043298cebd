//! The journal of sign-ins.

use async_trait::async_trait;
use flow_domain::openid::{Origin, SignInJournal};
use flow_domain::{Result, UserId};

use super::pool::PgPool;

const RECORD: &str = "
    insert into sign_in (user_id, door, address, agent) values ($1::uuid, $2::text, $3::inet, $4::text)";

#[derive(Clone)]
pub struct PgSignInJournal(pub PgPool);

#[async_trait]
impl SignInJournal for PgSignInJournal {
    async fn record(&self, user: UserId, door: &str, origin: &Origin) -> Result<()> {
        let Origin { address, agent } = origin.plain();
        self.0.execute(RECORD, &[&user.0, &door, &address, &agent]).await.map(drop)
    }
}
