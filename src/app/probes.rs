//! How the parts are, for `/health`.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use flow_domain::health::{Condition, Health, Probe};
use flow_domain::objects::Objects;
use flow_domain::openid::OpenIdProvider;
use flow_domain::queue::Queue;

use super::openid::OpenId;
use super::redis::Redis;
use super::stores::Stores;
use crate::config::Config;
use crate::driven::postgres::PgPool;
use crate::driven::proxmox::Proxmox;
use crate::driven::vault::Vault;

/// What was found at the start.
pub(super) struct Parts {
    pub objects: Arc<dyn Objects>,
    pub terraform: Option<PathBuf>,
    pub redis: Redis,
    pub vault: Option<Arc<Vault>>,
}

/// Of all parts that say how they are.
pub(super) fn all(
    config: &Config,
    stores: &Stores,
    openid: &OpenId,
    parts: Parts,
    proxmox: Option<Arc<Proxmox>>,
) -> Vec<Arc<dyn Probe>> {
    let provider = config.oidc.issuer.is_some().then(|| openid.door.provider.clone());
    vec![
        Arc::new(DatabaseProbe(stores.pool.clone())),
        Arc::new(QueueProbe(openid.lines.queue.clone())),
        Arc::new(parts.redis),
        Arc::new(ObjectsProbe(parts.objects)),
        Arc::new(SecretsProbe(config.secrets.url.clone(), parts.vault)),
        Arc::new(IdentityProbe(provider)),
        Arc::new(MachinesProbe(proxmox)),
        Arc::new(TerraformProbe(parts.terraform)),
        Arc::new(StateDirProbe(stores.state.path().to_owned())),
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

    fn without_answer(&self) -> Health {
        Health::Unhealthy
    }
}

/// The broker, or PostgreSQL where that is the queue. Without it events wait in the outbox, and polls find the runs.
struct QueueProbe(Arc<dyn Queue>);

#[async_trait]
impl Probe for QueueProbe {
    fn component(&self) -> &'static str {
        "queue"
    }

    async fn check(&self) -> Condition {
        self.0.ping().await.map_or_else(|error| Condition::degraded(error.public), |()| Condition::healthy())
    }
}

/// Only ingests need them.
struct ObjectsProbe(Arc<dyn Objects>);

#[async_trait]
impl Probe for ObjectsProbe {
    fn component(&self) -> &'static str {
        "objects"
    }

    async fn check(&self) -> Condition {
        self.0.ping().await.map_or_else(|error| Condition::degraded(error.public), |()| Condition::healthy())
    }
}

/// The file of secrets, or the Vault; flows without secrets work without.
struct SecretsProbe(Option<String>, Option<Arc<Vault>>);

#[async_trait]
impl Probe for SecretsProbe {
    fn component(&self) -> &'static str {
        "secrets"
    }

    async fn check(&self) -> Condition {
        if let Some(vault) = &self.1 {
            let checked = vault.check().await;
            return checked.map_or_else(|error| Condition::degraded(error.public), |()| Condition::healthy());
        }
        let Some(url) = &self.0 else { return Condition::not_configured() };
        let Some(file) = url.strip_prefix("file://") else {
            return Condition::degraded("Only a file of secrets can be looked at.");
        };
        match tokio::fs::File::open(file).await {
            Ok(_) => Condition::healthy(),
            Err(_) => Condition::degraded("The file of secrets cannot be read."),
        }
    }
}

/// Who signs in by a password does not need it.
struct IdentityProbe(Option<Arc<dyn OpenIdProvider>>);

#[async_trait]
impl Probe for IdentityProbe {
    fn component(&self) -> &'static str {
        "identity"
    }

    async fn check(&self) -> Condition {
        let Some(provider) = &self.0 else { return Condition::not_configured() };
        let begun = provider.begin().await;
        begun.map_or_else(|error| Condition::degraded(error.public), |_| Condition::healthy())
    }
}

/// Labs with machines need it.
struct MachinesProbe(Option<Arc<Proxmox>>);

#[async_trait]
impl Probe for MachinesProbe {
    fn component(&self) -> &'static str {
        "machines"
    }

    async fn check(&self) -> Condition {
        let Some(proxmox) = &self.0 else { return Condition::not_configured() };
        let checked = proxmox.check().await;
        checked.map_or_else(|error| Condition::degraded(error.public), |()| Condition::healthy())
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
