//! A database to a file and back, by PostgreSQL's own `pg_dump` and `pg_restore`.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tokio_postgres::Config;
use tokio_postgres::config::Host;

use super::embedded::Programs;
use super::tls::{self, Tls};
use crate::driven::start_error::StartError;

/// Writes the whole database to `file`, as of one moment, compressed.
pub fn dump(config: &Config, bin_dir: Option<&Path>, file: &Path) -> Result<(), StartError> {
    let mut command = tool("pg_dump", bin_dir)?;
    command.args(["--format=custom", "--no-owner", "--no-privileges", "--file"]).arg(file);
    run(command, config, "The database could not be dumped.")
}

/// Fills an empty database from such a file; all of it or nothing.
pub fn restore(config: &Config, bin_dir: Option<&Path>, file: &Path) -> Result<(), StartError> {
    let mut command = tool("pg_restore", bin_dir)?;
    command.args(["--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error"]);
    command.arg("--dbname").arg(config.get_dbname().unwrap_or_default()).arg(file);
    run(command, config, "The database could not be restored.")
}

/// Whether there is no table of anyone's in it.
pub fn is_empty(config: &Config) -> Result<bool, StartError> {
    let failed = |error: tokio_postgres::Error| {
        StartError::new("The database cannot be reached.").because(super::error::describe(&error))
    };
    let mut client = postgres::Config::from(config.clone()).connect(Tls).map_err(failed)?;
    let sql = "select not exists (select from pg_catalog.pg_tables where schemaname = 'public') as empty";
    client.query_one(sql, &[]).and_then(|row| row.try_get("empty")).map_err(failed)
}

fn tool(name: &str, bin_dir: Option<&Path>) -> Result<Command, StartError> {
    let found: Option<PathBuf> = Programs::tool(name, bin_dir);
    let missing =
        || StartError::new(format!("{name} is missing: it comes with PostgreSQL's client programs."));
    found.map(Command::new).ok_or_else(missing)
}

/// By variables: a command line can be read by every user of the machine, a password in it too.
fn run(mut command: Command, config: &Config, failed: &str) -> Result<(), StartError> {
    let host = config.get_hosts().first().map(|host| match host {
        Host::Tcp(name) => name.clone(),
        #[cfg(unix)]
        Host::Unix(folder) => folder.to_string_lossy().into_owned(),
    });
    let port = config.get_ports().first().map(u16::to_string);
    let password = config.get_password().map(|password| String::from_utf8_lossy(password).into_owned());
    let user = config.get_user().map(str::to_owned);
    let database = config.get_dbname().map(str::to_owned);
    let places = [
        ("PGHOST", host),
        ("PGPORT", port),
        ("PGUSER", user),
        ("PGPASSWORD", password),
        ("PGDATABASE", database),
    ];
    for (name, value) in places.into_iter().chain(tls::for_libpq(config)) {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let done = command.stdin(Stdio::null()).stdout(Stdio::null()).output();
    let done = done.map_err(|error: io::Error| StartError::new(failed).because(error))?;
    match done.status.success() {
        true => Ok(()),
        false => Err(StartError::new(failed).because(String::from_utf8_lossy(&done.stderr).trim())),
    }
}
