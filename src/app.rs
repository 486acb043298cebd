//! Puts the service together: the only place where drivers, domain and driven meet.

mod flows_dir;
mod late_tokens;
mod probes;
mod running;
mod stores;

use std::sync::Arc;
use std::time::Duration;

use flow_domain::WorkerId;
use flow_domain::flows::engine::Setup;
use flow_domain::flows::store::{FlowStore, Worker};
use flow_domain::flows::{Engine, Flows, Registry};
use flow_domain::health::Probe;
use flow_domain::ports::Ports;
use flow_domain::users::{SignIn, Tokens, Users};

use crate::config::Config;
use crate::driven::credentials::BcryptPasswords;
use crate::driven::http_client::{HttpClientOptions, ReqwestHttpClient};
use crate::driven::labs::LabFolders;
use crate::driven::postgres::{PgDatasets, PgFlowStore, PgLabSessions, PgStateCopies, PgUsers};
use crate::driven::process::{ChildOptions, ChildPrograms};
use crate::driven::terraform::{TerraformCommand, TerraformOptions};
use crate::driven::workspaces::FsWorkspaces;
use crate::driver::http::health::{Checkup, Readiness};
use crate::driver::http::{HttpSettings, Services, server};
pub use flows_dir::read_catalogue;
use late_tokens::LateTokens;
use probes::{DatabaseProbe, TerraformProbe};
use running::Service;
use stores::Stores;

/// bcrypt's cost: about a quarter of a second of one core.
const PASSWORD_COST: u32 = 12;
/// How long a sign-in waits for its turn to hash.
const PASSWORD_WAIT: Duration = Duration::from_secs(10);

/// Serves until SIGINT or SIGTERM. The error is one sentence.
pub fn serve(config: Config) -> Result<(), String> {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let workers = match config.server.workers {
        0 => cores.max(2),
        workers => workers.into(),
    };
    let stores = Stores::open(&config)?;
    let runtime = server::runtime(workers).map_err(|error| error.to_string())?;
    let ended = runtime.block_on(async {
        let (service, rocket) = assemble(config, stores, workers)?;
        let stores = service.run(rocket).await?;
        Ok(stores)
    });
    // Threads that hash passwords or wait for a child must not keep a stopped service alive.
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended
}
