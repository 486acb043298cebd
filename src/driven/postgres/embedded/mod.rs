//! The private PostgreSQL of a state directory: made, started, taken over after a crash, and stopped by this program.
//! It listens on a unix socket in a directory that only its user and root can enter, and on no TCP port.

mod cluster;
mod identity;
mod postmaster;
mod programs;
mod settings;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_postgres::Config;

use crate::driven::start_error::StartError;
use crate::driven::state_dir::StateDir;
use cluster::Cluster;
use identity::Identity;
use postmaster::Postmaster;
pub use programs::Programs;

/// The only user and the only database; the user owns everything, as the cluster is this service's alone.
const NAME: &str = "flow_manager";

/// A running private PostgreSQL. Dropping it stops it too, so that an early return leaves nothing running.
#[derive(Debug)]
pub struct Embedded {
    server: Postmaster,
    taken_over: bool,
    keeper: Keeper,
}

/// Starts a private PostgreSQL again that has gone, until its service stops it. Clones keep the same one.
#[derive(Clone, Debug)]
pub struct Keeper {
    cluster: Arc<Cluster>,
    /// Held while it is started again, so that a stop finds what it has to stop.
    stopped: Arc<Mutex<bool>>,
}

impl Embedded {
    /// Makes the cluster if there is none, starts it if it does not run, and waits until it answers. Blocks: two
    /// seconds the first time, a quarter of one later, longer after a crash; call it off the async threads.
    ///
    /// The borrowed state directory is the proof that no other service uses the cluster.
    pub fn start(state: &StateDir, bin_dir: Option<&Path>) -> Result<Self, StartError> {
        let home = state.path().join("postgres");
        let identity = Identity::for_cluster(&home)?;
        let programs =
            Programs::find(bin_dir, cluster::version_of(&home)?, |folder| identity.must_reach(folder))?;
        identity.must_reach(state.path())?;
        identity.make_private(&home)?;
        let cluster = Cluster::at(home, programs, identity)?;
        let (server, taken_over) = cluster.start()?;
        // Owned from here on, so that a failure below stops what was started.
        let keeper = Keeper { cluster: Arc::new(cluster), stopped: Arc::default() };
        let embedded = Self { server, taken_over, keeper };
        embedded.keeper.cluster.create_database(&embedded.server)?;
        Ok(embedded)
    }

    /// How to reach the one of this state directory, if it runs: for a command beside the service that owns it.
    pub fn running(state_dir: &Path) -> Option<Config> {
        let data = state_dir.join("postgres").canonicalize().ok()?.join("data");
        match postmaster::look(&data) {
            postmaster::Found::Running(server) => Some(cluster::connection(&server, NAME)),
            _ => None,
        }
    }

    /// What `start` would use in this state directory, for people; nothing is made or started.
    pub fn probe(state_dir: &Path, bin_dir: Option<&Path>) -> Result<String, StartError> {
        let home = state_dir.join("postgres");
        let identity = Identity::for_cluster(&home)?;
        let programs =
            Programs::find(bin_dir, cluster::version_of(&home)?, |folder| identity.must_reach(folder))?;
        identity.must_reach(state_dir)?;
        Ok(format!("PostgreSQL {} in {}", programs.version, programs.folder.display()))
    }

    /// How to connect to it.
    pub fn config(&self) -> Config {
        cluster::connection(&self.server, NAME)
    }

    /// The same for people and their tools: `psql "$url"`.
    pub fn url(&self) -> String {
        // A connection string's quotes and backslashes are escaped with a backslash.
        let folder = self.server.socket_dir.to_string_lossy().replace('\\', r"\\").replace('\'', r"\'");
        format!("host='{folder}' port={} user={NAME} dbname={NAME}", self.server.port)
    }

    /// The server programs' version, such as `15.18`.
    pub fn version(&self) -> &str {
        &self.keeper.cluster.programs.version
    }

    /// Whether it was still running, left by a service that was killed.
    pub fn taken_over(&self) -> bool {
        self.taken_over
    }

    pub fn keeper(&self) -> Keeper {
        self.keeper.clone()
    }

    /// Ends every connection, writes a last checkpoint and waits until no process of it is left. Blocks.
    pub fn stop(self) -> Result<(), StartError> {
        self.keeper.stop()
    }
}

impl Keeper {
    /// Whether it has gone without being told to: killed by hand, or for want of memory.
    pub fn is_gone(&self) -> bool {
        !*self.stopped() && self.cluster.is_gone()
    }

    /// Starts it again if it has gone. Blocks, like `start`; returns whether it had gone. Where it is reached stays the
    /// same.
    pub fn revive(&self) -> Result<bool, StartError> {
        let stopped = self.stopped();
        if *stopped {
            return Ok(false);
        }
        let (_, running) = self.cluster.start()?;
        Ok(!running)
    }

    /// Whether its service has stopped it.
    pub fn is_stopped(&self) -> bool {
        *self.stopped()
    }

    /// Once; later calls find it stopped.
    fn stop(&self) -> Result<(), StartError> {
        if std::mem::replace(&mut *self.stopped(), true) {
            return Ok(());
        }
        self.cluster.stop()
    }

    fn stopped(&self) -> MutexGuard<'_, bool> {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        if let Err(error) = self.keeper.stop() {
            log::error!("{error}");
        }
    }
}

#[cfg(test)]
mod tests;
