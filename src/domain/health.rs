//! How the parts of the service say how they are.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Serialize;

/// In ascending order of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    Healthy,
    /// The service does its main job without this part.
    Degraded,
    /// The service cannot do its main job.
    Unhealthy,
}

/// One part's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    pub health: Health,
    /// For operators; names no host, no path and no secret.
    pub detail: Option<String>,
}

impl Condition {
    pub fn healthy() -> Self {
        Self { health: Health::Healthy, detail: None }
    }

    /// The service is set up to do without it.
    pub fn not_configured() -> Self {
        Self { health: Health::Healthy, detail: Some("Not configured.".to_owned()) }
    }

    pub fn degraded(detail: impl Into<String>) -> Self {
        Self { health: Health::Degraded, detail: Some(detail.into()) }
    }

    pub fn unhealthy(detail: impl Into<String>) -> Self {
        Self { health: Health::Unhealthy, detail: Some(detail.into()) }
    }
}

/// Looks at one part. Called about every two seconds while someone asks.
#[async_trait]
pub trait Probe: Send + Sync {
    /// The component's name in `/health`: `database`, `terraform`, …
    fn component(&self) -> &'static str;
    async fn check(&self) -> Condition;

    /// What the part counts as when `check` takes too long: as bad as it can be by its absence.
    fn without_answer(&self) -> Health {
        Health::Degraded
    }
}
