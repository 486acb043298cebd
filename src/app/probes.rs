//! How the parts are, for `/health`.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use flow_domain::health::{Condition, Probe};

use super::redis::Redis;
use super::stores::Stores;
use crate::driven::postgres::PgPool;

/// Of all parts that say how they are.
pub(super) fn all(stores: &Stores, terraform: Option<PathBuf>, redis: Redis) -> Vec<Arc<dyn Probe>> {
    vec![
        Arc::new(DatabaseProbe(stores.pool.clone())),
        Arc::new(TerraformProbe(terraform)),
        Arc::new(StateDirProbe(stores.state.path().to_owned())),
        Arc::new(redis),
    ]
}

struct DatabaseProbe(PgPool);

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

/// Under this the disk counts as about to be full; a Terraform provider alone may be larger.
const LITTLE_BYTES: u64 = 32 << 20;

/// Directories of learners, records of programs and the private database are there.
struct StateDirProbe(PathBuf);

#[async_trait]
impl Probe for StateDirProbe {
    fn component(&self) -> &'static str {
        "state_dir"
    }

    async fn check(&self) -> Condition {
        match rustix::fs::statvfs(&self.0) {
            Ok(disk) if disk.f_bavail.saturating_mul(disk.f_frsize) < LITTLE_BYTES => Condition::degraded(
                "Its disk has less than 32 MiB left: programs and labs cannot be started.",
            ),
            Ok(_) => Condition::healthy(),
            Err(_) => Condition::degraded("It cannot be looked at."),
        }
    }
}

/// Labs need it; everything else works without.
struct TerraformProbe(Option<PathBuf>);

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
