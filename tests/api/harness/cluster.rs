//! One private PostgreSQL for this test process, started by the first test that wants one.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Runs as the server's guard. It reads from a pipe whose other end only this process holds: however this process
/// ends, the read ends with it, and the guard stops the server and removes all it had. What is lost does not
/// matter, so nothing waits for the disk.
const GUARD: &str = r#"
"$1/initdb" -D "$2/data" -U postgres -A trust -E UTF8 --locale=C --no-sync >"$2/log" 2>&1 &&
"$1/postgres" -D "$2/data" -k "$2" -c listen_addresses= -c max_connections=300 -c fsync=off \
    -c synchronous_commit=off -c full_page_writes=off -c autovacuum=off >>"$2/log" 2>&1 </dev/null &
server=$!
read -r _
kill -QUIT $server
wait $server
rm -rf "$2"
"#;

pub struct Cluster {
    /// Holds the socket, the data and the log.
    dir: PathBuf,
    /// Holds the pipe that the guard reads; statics are never dropped, so it closes when the process ends.
    _guard: Child,
}

/// The cluster, started on first use. To be called from a plain thread.
pub fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(Cluster::start)
}

impl Cluster {
    fn start() -> Self {
        let programs = server_programs();
        let dir = tempfile::Builder::new().prefix("fm-test-").tempdir().unwrap().keep();
        let mut guard = Command::new("sh");
        guard.args(["-c", GUARD, "guard"]).arg(&programs).arg(&dir).current_dir(&dir);
        if rustix::process::geteuid().is_root() {
            let (uid, gid) = server_user();
            chown(&dir, Some(uid), Some(gid)).unwrap();
            guard.uid(uid).gid(gid);
        }
        // In a group of its own, out of reach of the terminal's Ctrl-C, which is for the tests.
        guard.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let guard = guard.spawn().expect("a shell is on every machine that runs these tests");
        let cluster = Self { dir, _guard: guard };
        cluster.wait_until_it_answers();
        cluster
    }

    pub fn config(&self, database: &str) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config.host_path(&self.dir).user("postgres").dbname(database);
        config
    }

    pub fn url(&self, database: &str) -> String {
        format!("postgresql://postgres@{}/{database}", self.dir.to_str().unwrap().replace('/', "%2F"))
    }

    fn wait_until_it_answers(&self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        let config = postgres::Config::from(self.config("postgres"));
        while let Err(error) = config.connect(postgres::NoTls) {
            let log = std::fs::read_to_string(self.dir.join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "PostgreSQL does not answer: {error}\n{log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The folder with `initdb` and `postgres`: Debian's, the newest, or one on PATH.
pub fn server_programs() -> PathBuf {
    let mut folders: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|versions| versions.map(|version| version.unwrap().path().join("bin")).collect())
        .unwrap_or_default();
    folders.sort_by_key(|folder| {
        let version = folder.parent().and_then(Path::file_name).and_then(|name| name.to_str());
        std::cmp::Reverse(version.and_then(|name| name.parse::<u32>().ok()))
    });
    folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let complete = |folder: &PathBuf| folder.join("initdb").exists() && folder.join("postgres").exists();
    folders
        .into_iter()
        .find(complete)
        .expect("PostgreSQL's initdb and postgres: install the package postgresql-15")
}

/// Whom to run the server as when root, whom it refuses.
pub fn server_user() -> (u32, u32) {
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let ids = |name: &str| {
        let fields: Vec<&str> = users
            .lines()
            .map(|line| line.split(':').collect())
            .find(|fields: &Vec<&str>| fields[0] == name)?;
        Some((fields[2].parse().ok()?, fields[3].parse().ok()?))
    };
    ids("postgres").or_else(|| ids("nobody")).expect("a user postgres or nobody")
}
