//! `find_user`: the cache first, then the store.

use async_trait::async_trait;
use flow_domain::UserId;
use flow_domain::cache::user_key;
use flow_domain::flows::{Context, OrStop, Stop, TypedTask};
use flow_domain::openid::USER_CACHED_FOR;
use flow_domain::users::User;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub struct FindUser;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The user's id.
    user: UserId,
}

#[derive(Serialize, JsonSchema)]
pub struct Output {
    /// Whether there is such a user.
    found: bool,
    /// The user, if there is one.
    #[schemars(with = "serde_json::Value")]
    user: Option<User>,
}

#[async_trait]
impl TypedTask for FindUser {
    const NAME: &'static str = "find_user";
    const DESCRIPTION: &'static str = "Looks for a user in the cache, then in the store.";
    type Input = Input;
    type Output = Output;

    async fn run(&self, ctx: &Context, input: Input) -> Result<Output, Stop> {
        let key = user_key(input.user);
        // A cache that is away, or holds what cannot be read, is as if it were empty.
        let cached = ctx.ports.cache.get(&key).await.ok().flatten();
        if let Some(user) = cached.and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
            return Ok(Output { found: true, user: Some(user) });
        }
        let Some(account) = ctx.ports.users.by_id(input.user).await? else {
            return Ok(Output { found: false, user: None });
        };
        let bytes = serde_json::to_vec(&account.user).fatal_clean("user.unreadable")?;
        let _ = ctx.ports.cache.put(&key, bytes, USER_CACHED_FOR).await;
        Ok(Output { found: true, user: Some(account.user) })
    }
}

#[cfg(test)]
mod tests {
    use flow_domain::flows::{Outcome, Task};
    use flow_domain::testing::TestContext;
    use serde_json::{Value, json};

    use super::*;

    async fn find(test: &TestContext, user: UserId) -> Value {
        match Task::run(&FindUser, &test.context(), json!({"user": user})).await {
            Outcome::Done(output) => output,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_user_is_found_in_the_store_and_then_in_the_cache() {
        let test = TestContext::new();
        let found = find(&test, test.caller.id).await;
        assert_eq!((&found["found"], &found["user"]["id"]), (&json!(true), &json!(test.caller.id)));
        test.users.forget(test.caller.id);
        assert_eq!(find(&test, test.caller.id).await, found);
        assert_eq!(find(&test, UserId::new()).await, json!({"found": false, "user": null}));
    }
}
