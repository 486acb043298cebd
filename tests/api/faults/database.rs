//! A PostgreSQL of one test's own, to be stopped and started.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;
use tokio_postgres::Config;

use crate::harness::{server_programs, server_user};

pub struct Database {
    dir: TempDir,
    programs: PathBuf,
    options: String,
}

impl Database {
    pub fn start() -> Self {
        Self::start_with(|_| "-c listen_addresses=".to_owned())
    }

    /// With the options that `prepare` answers, when it has put into the folder what they name.
    pub fn start_with(prepare: impl FnOnce(&Path) -> String) -> Self {
        let dir = tempfile::Builder::new().prefix("fm-fault-").tempdir().unwrap();
        if rustix::process::geteuid().is_root() {
            let (uid, gid) = server_user();
            chown(dir.path(), Some(uid), Some(gid)).unwrap();
        }
        let options = prepare(dir.path());
        let database = Self { dir, programs: server_programs(), options };
        let data = database.data();
        database.run("initdb", &["-D", &data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"]);
        database.up();
        database
    }

    pub fn up(&self) {
        let socket = self.dir.path().to_str().unwrap();
        let options = format!("-k {socket} -c max_connections=100 {}", self.options);
        let log = format!("{socket}/log");
        self.run("pg_ctl", &["start", "-w", "-D", &self.data(), "-o", &options, "-l", &log]);
    }

    /// `immediate` is as a crash, `fast` in good order; both cut every connection.
    pub fn down(&self, mode: &str) {
        self.run("pg_ctl", &["stop", "-w", "-D", &self.data(), "-m", mode]);
    }

    pub fn url(&self) -> String {
        format!("postgresql://postgres@{}/postgres", self.dir.path().to_str().unwrap().replace('/', "%2F"))
    }

    pub fn config(&self) -> Config {
        let mut config = Config::new();
        config.host_path(self.dir.path()).user("postgres").dbname("postgres");
        config
    }

    fn data(&self) -> String {
        self.dir.path().join("data").to_str().unwrap().to_owned()
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = Command::new(self.programs.join(program));
        command.args(arguments).current_dir(self.dir.path()).stdin(Stdio::null()).stdout(Stdio::null());
        if rustix::process::geteuid().is_root() {
            let (uid, gid) = server_user();
            command.uid(uid).gid(gid);
        }
        let status = command.stderr(Stdio::null()).status().unwrap();
        assert!(status.success(), "{program} {arguments:?}: {status}");
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let stop = ["stop", "-D", &self.data(), "-m", "immediate"].map(str::to_owned);
        let mut command = Command::new(self.programs.join("pg_ctl"));
        command.args(stop).current_dir("/").stdout(Stdio::null()).stderr(Stdio::null());
        if rustix::process::geteuid().is_root() {
            let (uid, gid) = server_user();
            command.uid(uid).gid(gid);
        }
        let _ = command.status();
    }
}
