//! What tasks may reach.

use std::path::PathBuf;
use std::sync::Arc;

use flow_domain::flows::secret::Secrets;
use flow_domain::ports::Ports;
use flow_domain::users::Users;

use super::ingest;
use super::machines::Cluster;
use super::openid::OpenId;
use super::stores::Stores;
use super::terraform::terraform;
use crate::config::Config;
use crate::driven::grader::{Accounts, ChildGraders};
use crate::driven::http_client::{HttpClientOptions, ReqwestHttpClient};
use crate::driven::labs::LabFolders;
use crate::driven::postgres::{PgDatasets, PgGradeEvidence, PgLabSessions, PgStepChecks, PgTimelines};
use crate::driven::process::ChildPrograms;
use crate::driven::workspaces::FsWorkspaces;

/// And Terraform's program, if there is one.
pub(super) fn ports(
    config: &Config,
    stores: &Stores,
    users: Arc<dyn Users>,
    programs: Arc<ChildPrograms>,
    openid: &OpenId,
    secrets: Arc<dyn Secrets>,
    cluster: &Cluster,
) -> Result<(Ports, Option<PathBuf>), String> {
    let terraform = Arc::new(terraform(config, stores, programs.clone()));
    let found = terraform.binary();
    let labs = LabFolders::load(&config.config.dir.join("labs"))?;
    let labs = Arc::new(labs.where_machines_are(config.proxmox.url.is_some()));
    let text = |error: flow_domain::Error| error.to_string();
    let http = HttpClientOptions { allowed_hosts: config.http.allow.clone(), ..HttpClientOptions::default() };
    let graders = Arc::new(graders(config, stores, programs.clone()));
    let ports = Ports {
        http: Arc::new(ReqwestHttpClient::new(&http).map_err(text)?),
        programs,
        terraform,
        workspaces: Arc::new(FsWorkspaces::new(stores.workspaces()).map_err(text)?),
        labs,
        sessions: Arc::new(PgLabSessions::new(stores.pool.clone())),
        step_checks: Arc::new(PgStepChecks::new(stores.pool.clone())),
        secrets,
        ledger: cluster.ledger.clone(),
        machines: cluster.machines.clone(),
        task_notes: Arc::new(PgTimelines::new(stores.pool.clone())),
        graders,
        evidence: Arc::new(PgGradeEvidence::new(stores.pool.clone())),
        datasets: Arc::new(PgDatasets::new(stores.pool.clone())),
        users,
        access_tokens: openid.access_tokens.clone(),
        cache: openid.cache.clone(),
        outbox: openid.lines.outbox.clone(),
        ingest: Arc::new(ingest::ingest(config, stores)?),
    };
    Ok((ports, found))
}

/// With users of their own graders cannot pass the state directory, which is nobody else's; then their desks are
/// where everybody has files.
fn graders(config: &Config, stores: &Stores, programs: Arc<ChildPrograms>) -> ChildGraders {
    let (accounts, why) = Accounts::usable(config.grade.uids.clone());
    let root = match (&config.grade.dir, &accounts) {
        (Some(dir), _) => dir.clone(),
        (None, Accounts::Own(_)) => std::env::temp_dir().join("flow-manager-grade"),
        (None, Accounts::Service) => stores.state.path().join("grade"),
    };
    if let Some(why) = why {
        log::info!("graders run as this service's own user: {why}");
    }
    ChildGraders::new(root, accounts, programs)
}
