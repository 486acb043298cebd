//! A cluster's life: made, started or taken over, stopped.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use postgres::NoTls;
use rustix::process::Signal;
use sha2::{Digest, Sha256};
use tokio_postgres::Config;
use tokio_postgres::error::SqlState;

use super::identity::Identity;
use super::postmaster::{self, Found, Postmaster};
use super::programs::Programs;
use super::{NAME, settings};
use crate::driven::start_error::StartError;

/// Replaying the log after a crash takes as long as there is log; a start that takes longer than this is stuck.
const START_LIMIT: Duration = Duration::from_secs(300);
/// A server that was killed leaves processes that hold its memory until they notice.
const LEFTOVERS_LIMIT: Duration = Duration::from_secs(20);
/// A fast stop writes a checkpoint; after this long the stop is made immediate, which loses nothing but time.
const FAST_STOP_LIMIT: Duration = Duration::from_secs(60);
const IMMEDIATE_STOP_LIMIT: Duration = Duration::from_secs(10);
/// How often a waiting start or stop looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// `sun_path` holds 104 bytes on macOS and 108 on Linux, with the final NUL.
const SOCKET_PATH_LIMIT: usize = 103;
/// The server's log grows by start; one old one is kept.
const LOG_LIMIT_BYTES: u64 = 1 << 20;
/// In the state directory, beside the cluster's own.
const SETTINGS_FILE: &str = "postgres.conf";

#[derive(Debug)]
pub(super) struct Cluster {
    pub programs: Programs,
    identity: Identity,
    home: PathBuf,
    data: PathBuf,
    socket_dir: PathBuf,
}

/// The major version of the cluster below `home`, if there is one.
pub(super) fn version_of(home: &Path) -> Result<Option<u32>, StartError> {
    let file = home.join("data/PG_VERSION");
    if !file.exists() {
        return Ok(None);
    }
    let text = fs::read_to_string(&file).ok().and_then(|text| text.trim().parse().ok());
    let unreadable =
        || StartError::new(format!("The private database is damaged: {} is unreadable.", file.display()));
    text.map(Some).ok_or_else(unreadable)
}

impl Cluster {
    pub fn at(home: PathBuf, programs: Programs, identity: Identity) -> Result<Self, StartError> {
        let data = home.join("data");
        let socket_dir = if fits_a_socket(&home) {
            home.clone()
        } else {
            let hash = Sha256::digest(home.as_os_str().as_bytes());
            let name = flow_domain::hex(&hash[..6]);
            let short = PathBuf::from(format!("/tmp/flow-manager-{name}"));
            identity.make_private(&short)?;
            short
        };
        Ok(Self { programs, identity, home, data, socket_dir })
    }

    /// Brings the cluster to a state where it answers; `true` when it was running already.
    pub fn start(&self) -> Result<(Postmaster, bool), StartError> {
        if !self.data.join("PG_VERSION").exists() {
            self.make()?;
        }
        let begun = Instant::now();
        let mut launched = false;
        loop {
            match postmaster::look(&self.data) {
                Found::Running(server) => match greet(&server) {
                    Ok(()) => return Ok((server, !launched)),
                    Err(error) if begun.elapsed() > START_LIMIT => {
                        return Err(StartError::new("The private database does not answer.").because(error));
                    }
                    // Starting up, replaying its log, or on its way down after its service was killed.
                    Err(_) => {}
                },
                Found::Starting if begun.elapsed() <= START_LIMIT => {}
                Found::Starting => return Err(StartError::new("The private database does not come up.")),
                found => {
                    if matches!(found, Found::Stale) {
                        let _ = fs::remove_file(self.data.join("postmaster.pid"));
                        // A dead server that nobody waited for still has its pid, and would keep the socket's lock.
                        let _ = fs::remove_file(
                            self.socket_dir.join(format!(".s.PGSQL.{}.lock", settings::PORT)),
                        );
                    }
                    match self.launch() {
                        Ok(()) => launched = true,
                        Err(error) if begun.elapsed() > LEFTOVERS_LIMIT || !self.has_leftovers() => {
                            return Err(error);
                        }
                        Err(_) => {}
                    }
                }
            }
            sleep(LOOK_AGAIN);
        }
    }

    /// No server process, and none that is just starting.
    pub fn is_gone(&self) -> bool {
        matches!(postmaster::look(&self.data), Found::Stale | Found::Nothing)
    }

    /// Makes the service's database if the first start did not get to it.
    pub fn create_database(&self, server: &Postmaster) -> Result<(), StartError> {
        let create = || -> Result<(), postgres::Error> {
            let mut client = postgres::Config::from(connection(server, "postgres")).connect(NoTls)?;
            let there = client.query_opt("select 1 from pg_database where datname = $1", &[&NAME])?.is_some();
            if !there {
                client.batch_execute("create database flow_manager")?;
            }
            Ok(())
        };
        create()
            .map_err(|error| StartError::new("The private database cannot be set up.").because(said(&error)))
    }

    pub fn stop(&self) -> Result<(), StartError> {
        let Found::Running(Postmaster { pid, .. }) = postmaster::look(&self.data) else { return Ok(()) };
        for (stop, limit) in [(Signal::INT, FAST_STOP_LIMIT), (Signal::QUIT, IMMEDIATE_STOP_LIMIT)] {
            postmaster::signal(pid, stop);
            let deadline = Instant::now() + limit;
            while Instant::now() < deadline {
                if !postmaster::is_alive(pid) {
                    self.remove_socket_dir();
                    return Ok(());
                }
                sleep(LOOK_AGAIN);
            }
        }
        let pid = pid.as_raw_nonzero();
        Err(StartError::new(format!("The private database (process {pid}) did not stop; its data is safe.")))
    }

    /// Made beside its place and moved there when complete: a kill in the middle leaves nothing that looks whole.
    fn make(&self) -> Result<(), StartError> {
        for entry in fs::read_dir(&self.home).into_iter().flatten().flatten() {
            if entry.file_name().as_bytes().starts_with(b"data.new-") {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        let fresh = self.home.join(format!("data.new-{}", std::process::id()));
        let failed = |cause| StartError::new("The private database cannot be made.").because(cause);
        // The C library of macOS has no C.UTF-8; both sort by bytes.
        self.initdb(&fresh, "C.UTF-8").or_else(|_| self.initdb(&fresh, "C")).map_err(failed)?;
        fs::rename(&fresh, &self.data)
            .and_then(|()| fs::File::open(&self.home)?.sync_all())
            .map_err(|error| failed(error.to_string()))
    }

    fn initdb(&self, data: &Path, locale: &str) -> Result<(), String> {
        let mut command = self.command("initdb");
        command.arg("--pgdata").arg(data).arg(format!("--username={NAME}")).arg(format!("--locale={locale}"));
        command.args(["--encoding=UTF8", "--auth=trust", "--lc-messages=C"]);
        run(&mut command)
    }

    /// `pg_ctl` puts the server into a session of its own, where a terminal's Ctrl-C and hang-up do not reach it, and
    /// returns when it answers or is gone. It hands paths to a shell, where a `$` in one would be expanded; so the data
    /// directory goes by the environment, and the others are relative to the working directory.
    fn launch(&self) -> Result<(), StartError> {
        self.rotate_log();
        let failed =
            |cause: String| StartError::new("The private database cannot be started.").because(cause);
        self.write_settings().map_err(|error| failed(error.to_string()))?;
        let mut command = self.command("pg_ctl");
        command.env("PGDATA", &self.data).args(["start", "--silent", "--wait", "--log=postgres.log"]);
        command.arg(format!("--timeout={}", START_LIMIT.as_secs()));
        command.arg(format!("--options=-c config_file=../{SETTINGS_FILE}"));
        run(&mut command).map_err(|said| failed(format!("{said}; {}", self.last_log_lines())))
    }

    /// Beside `home`, not in it: there root would be writing where another user can put a link.
    fn write_settings(&self) -> std::io::Result<()> {
        let file = self.home.with_file_name(SETTINGS_FILE);
        fs::write(&file, settings::text(&self.socket_dir))?;
        // The server's user reads it, whatever the umask; it holds no secret.
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644))
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.program(program));
        command.env_clear().current_dir(&self.home).env("LC_ALL", "C").env("TZ", "UTC");
        for name in ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        self.identity.apply(&mut command);
        command
    }

    /// Whether the last start failed because of what a killed server left behind.
    fn has_leftovers(&self) -> bool {
        let lines = self.last_log_lines();
        lines.contains("shared memory block") || lines.contains("lock file")
    }

    fn last_log_lines(&self) -> String {
        let text = fs::read(self.log()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let mut lines: Vec<&str> = text.lines().rev().take(3).collect();
        lines.reverse();
        lines.join("; ")
    }

    fn rotate_log(&self) {
        if fs::metadata(self.log()).is_ok_and(|log| log.len() > LOG_LIMIT_BYTES) {
            let _ = fs::rename(self.log(), self.home.join("postgres.log.1"));
        }
    }

    fn log(&self) -> PathBuf {
        self.home.join("postgres.log")
    }

    fn remove_socket_dir(&self) {
        if self.socket_dir != self.home {
            let _ = fs::remove_dir(&self.socket_dir);
        }
    }
}

/// How to reach a database of a running server.
pub(super) fn connection(server: &Postmaster, database: &str) -> Config {
    let mut config = Config::new();
    config.host_path(&server.socket_dir).port(server.port).user(NAME).dbname(database);
    config.connect_timeout(Duration::from_secs(5));
    config
}

fn greet(server: &Postmaster) -> Result<(), String> {
    match postgres::Config::from(connection(server, "postgres")).connect(NoTls) {
        Ok(_) => Ok(()),
        // It answers, and that is what was asked.
        Err(error) if error.code() == Some(&SqlState::TOO_MANY_CONNECTIONS) => Ok(()),
        Err(error) => Err(said(&error)),
    }
}

/// Short enough, and without the comma that separates hosts in a connection string.
fn fits_a_socket(dir: &Path) -> bool {
    let file = dir.join(format!(".s.PGSQL.{}", settings::PORT));
    file.as_os_str().len() <= SOCKET_PATH_LIMIT && file.to_str().is_some_and(|path| !path.contains(','))
}

/// Runs a program to its end; the error is what it said.
fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    // The server does not inherit the pipe: with a log file given, `pg_ctl` leads its output there.
    let output = command.stdin(Stdio::null()).stdout(Stdio::null()).output();
    let output = output.map_err(|error| format!("{name}: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ")),
    }
}

/// The error with the server's or the system's own words, which its `Display` leaves out.
fn said(error: &postgres::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
