//! How the parts are, for `/health`.

use std::path::PathBuf;

use async_trait::async_trait;
use flow_domain::health::{Condition, Probe};

use crate::driven::postgres::PgPool;

pub(super) struct DatabaseProbe(pub(super) PgPool);

#[async_trait]
impl Probe for DatabaseProbe {
    fn component(&self) -> &'static str {
        "database"
    }

    async fn check(&self) -> Condition {
        match self.0.ping().await {
            Ok(()) => Condition::healthy(),
            Err(error) => Condition::unhealthy(error.public),
        }
    }
}

/// Labs need it; everything else works without.
pub(super) struct TerraformProbe(pub(super) Option<PathBuf>);

#[async_trait]
impl Probe for TerraformProbe {
    fn component(&self) -> &'static str {
        "terraform"
    }

    async fn check(&self) -> Condition {
        match &self.0 {
            Some(_) => Condition::healthy(),
            None => Condition::degraded("No terraform or tofu on this machine: labs cannot be launched."),
        }
    }
}
