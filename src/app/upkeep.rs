//! Once a day, what nobody waits for.

use std::sync::Arc;
use std::time::Duration;

use flow_domain::users::Identity;

use crate::driven::postgres::keys;
use crate::driven::postgres::queue::inbox;
use crate::driven::postgres::{PgFlowStore, PgPool, PgUsers};
use crate::driven::process::ChildPrograms;

/// Partitions are made weeks ahead; looking once a day is plenty.
const EVERY: Duration = Duration::from_secs(24 * 3600);
/// What child processes wrote is kept this long for whoever looks into what went wrong.
const RECORDS_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

pub(super) struct Upkeep {
    pub flow_store: Arc<PgFlowStore>,
    pub programs: Arc<ChildPrograms>,
    pub users: PgUsers,
    pub identity: Arc<Identity>,
    /// 0 keeps all runs.
    pub retention_days: i32,
    pub pool: PgPool,
}

impl Upkeep {
    /// Until the process ends.
    pub(super) async fn daily(self) {
        loop {
            if let Err(error) = self.flow_store.upkeep().await {
                log::warn!("the daily upkeep of the database failed: {error}");
            }
            if let Err(error) = self.forget().await {
                log::warn!("what has run out was not forgotten: {error}");
            }
            self.drop_old_runs().await;
            let programs = self.programs.clone();
            let pruned = tokio::task::spawn_blocking(move || programs.prune(RECORDS_KEPT)).await;
            if let Ok(runs @ 1..) = pruned {
                log::info!("removed what the child processes of {runs} old runs wrote");
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    async fn drop_old_runs(&self) {
        if self.retention_days == 0 {
            return;
        }
        match self.flow_store.drop_weeks(self.retention_days).await {
            Ok(weeks) if weeks.is_empty() => {}
            Ok(weeks) => log::info!("dropped runs of the weeks of {}", weeks.join(", ")),
            Err(error) => log::warn!("old runs were not dropped today: {error}"),
        }
    }

    /// Logins, revocations, keys and temporary names whose time is over, and events that cannot come again.
    async fn forget(&self) -> flow_domain::Result<()> {
        self.identity.logins.forget().await?;
        self.identity.revocations.forget().await?;
        self.users.forget().await?;
        keys::forget(&self.pool).await?;
        inbox::prune(&self.pool).await.map(drop)
    }
}
