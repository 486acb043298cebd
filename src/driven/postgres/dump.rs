//! A database to a file and back, by PostgreSQL's own `pg_dump` and `pg_restore`.

use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tokio_postgres::Config;
use tokio_postgres::config::Host;

use super::embedded::Programs;
use super::tls::{self, Tls};
use crate::driven::start_error::StartError;

/// Lines that tell why it failed, of the many in which a verbose program tells what it does.
const MOST_COMPLAINTS: usize = 20;

/// Writes the whole database to `file`, as of one moment, compressed. `tell` hears how many tables are under way or
/// done.
pub fn dump(
    config: &Config,
    bin_dir: Option<&Path>,
    file: &Path,
    tell: &dyn Fn(u64),
) -> Result<(), StartError> {
    let mut command = tool("pg_dump", bin_dir)?;
    command.args(["--format=custom", "--no-owner", "--no-privileges", "--verbose", "--file"]).arg(file);
    run(command, config, "The database could not be dumped.", "dumping contents of table", tell)
}

/// Fills an empty database from such a file; all of it or nothing. `tell` as of [`dump`].
pub fn restore(
    config: &Config,
    bin_dir: Option<&Path>,
    file: &Path,
    tell: &dyn Fn(u64),
) -> Result<(), StartError> {
    let mut command = tool("pg_restore", bin_dir)?;
    command.args(["--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error", "--verbose"]);
    command.arg("--dbname").arg(config.get_dbname().unwrap_or_default()).arg(file);
    run(command, config, "The database could not be restored.", "processing data for table", tell)
}

/// Tables with data of their own; 0 when that cannot be found out.
pub async fn tables(config: &Config) -> u64 {
    let counted = async {
        let (client, connection) = config.connect(Tls).await?;
        let connection = tokio::spawn(connection);
        let sql = "select count(*) from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
                   where c.relkind = 'r' and n.nspname !~ '^(pg_|information_schema$)'";
        let counted = client.query_one(sql, &[]).await?.try_get::<_, i64>(0);
        drop(client);
        let _ = connection.await;
        counted
    };
    counted.await.map_or(0, |count| count.unsigned_abs())
}

/// Tables in such a file; 0 when that cannot be found out.
pub fn tables_in(bin_dir: Option<&Path>, file: &Path) -> u64 {
    let list = tool("pg_restore", bin_dir).ok().and_then(|mut command| {
        command.arg("--list").arg(file).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()
    });
    let list = list.map(|done| String::from_utf8_lossy(&done.stdout).into_owned()).unwrap_or_default();
    list.lines().filter(|line| line.contains(" TABLE DATA ")).count() as u64
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
fn run(
    mut command: Command,
    config: &Config,
    failed: &str,
    step: &str,
    tell: &dyn Fn(u64),
) -> Result<(), StartError> {
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
    // Its lines are looked at, so they must be of one language.
    command.env("LC_ALL", "C").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let broken = |error: io::Error| StartError::new(failed).because(error);
    let mut child = command.spawn().map_err(broken)?;
    let (mut steps, mut complaints) = (0, Vec::new());
    for line in child.stderr.take().into_iter().flat_map(|said| BufReader::new(said).split(b'\n')) {
        let line = String::from_utf8_lossy(&line.map_err(broken)?).into_owned();
        if line.contains(step) {
            steps += 1;
            tell(steps);
        } else if (!complaints.is_empty() || line.contains("error:")) && complaints.len() < MOST_COMPLAINTS {
            complaints.push(line);
        }
    }
    match child.wait().map_err(broken)?.success() {
        true => Ok(()),
        false => Err(StartError::new(failed).because(complaints.join("\n").trim())),
    }
}
