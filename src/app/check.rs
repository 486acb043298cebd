//! Whether each part that the settings name is there and answers; nothing is made, started or changed.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use flow_domain::flows::Registry;
use flow_domain::labs::Lab;

use super::database::Database;
use super::flows_dir::read_catalogue;
use crate::config::Config;
use crate::driven::postgres::embedded::Embedded;
use crate::driven::postgres::probe;
use crate::driven::redis;
use crate::driven::state_dir::{self, StateDir};

#[derive(Clone, Debug)]
pub struct Part {
    pub name: &'static str,
    pub state: State,
}

/// What is to be said of a part, in a few words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    Works(String),
    /// Not there, which the service can live with; says what then does not work.
    Absent(String),
    Failed(String),
}

pub fn parts(config: &Config) -> Vec<Part> {
    let part = |name, state| Part { name, state };
    vec![
        part("address", address(config)),
        part("state", of(StateDir::probe(config.state.dir.as_deref()))),
        part("database", database(config)),
        part("cache", cache(config)),
        part("flows", flows(config)),
        part("labs", labs(config)),
        part("terraform", terraform(config)),
        part("programs", programs(config)),
    ]
}

fn of<E: std::fmt::Display>(result: Result<String, E>) -> State {
    result.map_or_else(|error| State::Failed(error.to_string()), State::Works)
}

fn address(config: &Config) -> State {
    let address = (config.server.address, config.server.port);
    match TcpListener::bind(address) {
        Ok(_) => State::Works(format!("{}:{} is free", address.0, address.1)),
        Err(error) => State::Failed(format!("{}:{} cannot be listened on ({error})", address.0, address.1)),
    }
}

fn database(config: &Config) -> State {
    match &config.database.url {
        None => {
            let state = config.state.dir.clone().unwrap_or_else(state_dir::default_path);
            of(Embedded::probe(&state, config.database.bin_dir.as_deref()))
        }
        Some(_) => of(Database::configured(config)
            .map_err(|error| error.sentence.trim_end_matches('.').to_owned())
            .and_then(probe::server_version)),
    }
}

/// Without it the service works, and is as right.
fn cache(config: &Config) -> State {
    match &config.cache.url {
        None => State::Works("in process".into()),
        Some(url) => of(redis::probe(url.expose())),
    }
}

fn flows(config: &Config) -> State {
    let dir = &config.config.dir;
    let registry = match Registry::new(flow_tasks::all()) {
        Ok(registry) => registry,
        Err(fault) => return State::Failed(fault),
    };
    match read_catalogue(dir, &config.aliases, &registry) {
        Ok(flows) => State::Works(format!("{} in {}", flows.iter().count(), dir.join("flows").display())),
        Err(faults) => State::Failed(faults.join("; ")),
    }
}

fn terraform(config: &Config) -> State {
    match terraform_program(config) {
        Some(program) => of(version_of(&program)),
        None => State::Absent("neither terraform nor tofu is on PATH: lab flows will fail".into()),
    }
}

/// The program that the settings name, or the first of the two on `PATH`.
pub fn terraform_program(config: &Config) -> Option<PathBuf> {
    config.terraform.bin.clone().or_else(|| ["terraform", "tofu"].into_iter().find_map(on_path))
}

fn labs(config: &Config) -> State {
    match super::lab::list(config) {
        Ok(labs) if labs.is_empty() => State::Absent("there is none".into()),
        Ok(labs) => {
            let (lacking, offered): (Vec<&Lab>, Vec<&Lab>) =
                labs.iter().partition(|lab| super::lab::lacks_machines(config, lab));
            let names =
                |labs: &[&Lab]| labs.iter().map(|lab| lab.name.as_str()).collect::<Vec<_>>().join(", ");
            match lacking.as_slice() {
                [] => State::Works(names(&offered)),
                _ => State::Works(format!(
                    "{}; not offered without proxmox.url: {}",
                    names(&offered),
                    names(&lacking)
                )),
            }
        }
        Err(faults) => State::Failed(faults.replace('\n', "; ")),
    }
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|program| program.is_file())
}

fn version_of(program: &Path) -> Result<String, String> {
    let mut command = Command::new(program);
    // Not to ask the vendor whether there is a newer one.
    command.arg("version").env("CHECKPOINT_DISABLE", "1").stdin(Stdio::null()).stderr(Stdio::null());
    let output =
        command.output().map_err(|error| format!("{} cannot be run ({error})", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    match text.lines().next() {
        Some(version) if output.status.success() => Ok(format!("{version} in {}", program.display())),
        _ => Err(format!("{} does not say its version", program.display())),
    }
}

fn programs(config: &Config) -> State {
    let gone = |(name, path): (&String, &PathBuf)| {
        (!path.is_file()).then(|| format!("{name}: there is no file {}", path.display()))
    };
    let missing: Vec<String> = config.exec.allow.iter().filter_map(gone).collect();
    match (config.exec.allow.len(), missing.as_slice()) {
        (0, _) => State::Absent("exec.allow is empty: the exec task can run nothing".into()),
        (count, []) => State::Works(format!("{count} may be run by the exec task")),
        (_, missing) => State::Failed(missing.join("; ")),
    }
}
