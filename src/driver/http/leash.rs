//! What ties a stream to the token it was opened with.

use std::future::Future;
use std::pin::Pin;

use flow_domain::users::Verified;

use super::Services;

/// Ends when the token does: by its time, a logout, a closed account or another role.
pub(super) type Leash = Pin<Box<dyn Future<Output = ()> + Send>>;

pub(super) fn leash(services: &Services, token: Verified) -> Leash {
    let identity = services.identity.clone();
    Box::pin(async move { identity.access.ended(&token).await })
}
