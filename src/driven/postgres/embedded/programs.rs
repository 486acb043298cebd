//! Finding PostgreSQL's server programs on this machine.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::driven::start_error::StartError;

/// The oldest version the service's SQL runs on.
const OLDEST: u32 = 15;

const NEEDED: [&str; 3] = ["initdb", "pg_ctl", "postgres"];

/// Where packages put them besides PATH; `*` stands for a version, of which the newest comes first.
const FOLDERS: [&str; 8] = [
    "/usr/lib/postgresql/*/bin",          // Debian, Ubuntu
    "/usr/pgsql-*/bin",                   // Fedora and its kin, from postgresql.org
    "/usr/bin",                           // Fedora's own, Arch, Alpine
    "/opt/homebrew/opt/postgresql@*/bin", // Homebrew, Apple silicon
    "/usr/local/opt/postgresql@*/bin",    // Homebrew, Intel
    "/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
    "/usr/local/pgsql/bin",
];

/// A folder with `initdb`, `pg_ctl` and `postgres`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programs {
    pub folder: PathBuf,
    /// Such as `15.18`.
    pub version: String,
}

impl Programs {
    /// The first usable ones: in `configured` and nowhere else if that is given, otherwise on PATH, where `pg_config`
    /// points, and in the usual folders. A cluster is tied to the major version that made it; and whoever is to run
    /// them must be able to reach them.
    pub(super) fn find(
        configured: Option<&Path>,
        made_by: Option<u32>,
        reachable: impl Fn(&Path) -> Result<(), StartError>,
    ) -> Result<Self, StartError> {
        let folders = match configured {
            Some(folder) => vec![folder.to_path_buf()],
            None => usual_folders(),
        };
        let found: Vec<Self> = folders.iter().filter_map(|folder| Self::in_folder(folder)).collect();
        let fits = |programs: &&Self| match made_by {
            Some(major) => programs.major() == Some(major),
            None => programs.major() >= Some(OLDEST),
        };
        let mut closed = None;
        for programs in found.iter().filter(fits) {
            match reachable(&programs.folder) {
                Ok(()) => return Ok(programs.clone()),
                Err(error) => closed = closed.or(Some(error)),
            }
        }
        Err(closed.unwrap_or_else(|| refusal(configured, made_by, &found)))
    }

    /// Another of PostgreSQL's programs: beside the server's, which it fits, or on PATH.
    pub fn tool(name: &str, configured: Option<&Path>) -> Option<PathBuf> {
        let folders = configured.map(Path::to_path_buf).into_iter().chain(usual_folders());
        folders.map(|folder| folder.join(name)).find(|program| program.is_file())
    }

    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn major(&self) -> Option<u32> {
        let digits: String = self.version.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    }

    fn in_folder(folder: &Path) -> Option<Self> {
        if !NEEDED.iter().all(|name| folder.join(name).is_file()) {
            return None;
        }
        // "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", also for root.
        let text = output_of(Command::new(folder.join("postgres")).arg("--version"))?;
        let version = text.split_whitespace().nth(2)?.to_owned();
        Some(Self { folder: folder.to_path_buf(), version })
    }
}

fn usual_folders() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> =
        std::env::split_paths(&path).filter(|folder| folder.is_absolute()).collect();
    // A link on PATH to one program leads to the folder of all of them.
    let linked = folders.iter().filter_map(|folder| folder.join("initdb").canonicalize().ok());
    let linked: Vec<PathBuf> = linked.filter_map(|initdb| Some(initdb.parent()?.to_path_buf())).collect();
    folders.extend(linked);
    if let Some(folder) = output_of(Command::new("pg_config").arg("--bindir")) {
        folders.push(PathBuf::from(folder.trim()));
    }
    folders.extend(FOLDERS.iter().flat_map(|pattern| expand(pattern)));
    let mut seen = BTreeSet::new();
    folders.retain(|folder| seen.insert(folder.clone()));
    folders
}

/// The folders that a pattern with one `*` stands for, highest version first.
fn expand(pattern: &str) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.split_once('*') else { return vec![PathBuf::from(pattern)] };
    let (parent, prefix) = before.rsplit_once('/').unwrap_or(("", before));
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let mut versions: Vec<(u32, String)> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter_map(|name| Some((name.strip_prefix(prefix)?.split('.').next()?.parse().ok()?, name)))
        .collect();
    versions.sort_by(|a, b| b.cmp(a));
    versions.into_iter().map(|(_, name)| PathBuf::from(format!("{parent}/{name}{after}"))).collect()
}

fn output_of(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn refusal(configured: Option<&Path>, made_by: Option<u32>, found: &[Programs]) -> StartError {
    let seen: Vec<String> = found
        .iter()
        .map(|programs| format!("{} in {}", programs.version, programs.folder.display()))
        .collect();
    let wanted = match made_by {
        Some(major) => format!("PostgreSQL {major}, which made the private database,"),
        None => format!("PostgreSQL {OLDEST} or later"),
    };
    let place = match configured {
        Some(folder) => format!("in {}", folder.join(OsStr::new("")).display()),
        None => "on PATH or in the usual folders".to_owned(),
    };
    let error = StartError::new(format!(
        "The server programs of {wanted} were not found {place}: install them, say where they are with FLOW_DATABASE_BIN_DIR, or set FLOW_DATABASE_URL=postgres://USER:PASSWORD@HOST:5432/NAME to use a server elsewhere."
    ));
    if seen.is_empty() { error } else { error.because(format!("found {}", seen.join(", "))) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// A folder whose programs say they are of `version`.
    fn folder(version: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in NEEDED {
            let path = dir.path().join(name);
            fs::write(&path, format!("#!/bin/sh\necho '{name} (PostgreSQL) {version} (Test)'\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        dir
    }

    fn find(folder: &Path, made_by: Option<u32>) -> Result<Programs, StartError> {
        Programs::find(Some(folder), made_by, |_| Ok(()))
    }

    #[test]
    fn a_configured_folder_is_the_only_one_looked_in() {
        let dir = folder("17.2");
        let programs = find(dir.path(), None).unwrap();
        assert_eq!((programs.folder.as_path(), programs.version.as_str()), (dir.path(), "17.2"));
        let empty = tempfile::tempdir().unwrap();
        let error = find(empty.path(), None).unwrap_err().to_string();
        assert!(error.contains(&empty.path().display().to_string()), "{error}");
    }

    #[test]
    fn programs_that_are_too_old_or_cannot_read_the_cluster_are_refused_by_version() {
        let (old, new) = (folder("13.1"), folder("17.2"));
        let error = find(old.path(), None).unwrap_err().to_string();
        assert!(error.contains("PostgreSQL 15 or later") && error.contains("found 13.1 in"), "{error}");
        let error = find(new.path(), Some(16)).unwrap_err().to_string();
        assert!(error.contains("PostgreSQL 16, which made the private database,"), "{error}");
    }

    #[test]
    fn the_highest_version_comes_first_and_not_the_last_in_the_alphabet() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["pgsql-9", "pgsql-17", "pgsql-16.1", "pgsql-latest", "other-20"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let at = dir.path().display();
        let found = expand(&format!("{at}/pgsql-*/bin"));
        let expected = ["17", "16.1", "9"].map(|version| PathBuf::from(format!("{at}/pgsql-{version}/bin")));
        assert_eq!(found, expected);
    }
}
