//! The server process of a cluster, as its `postmaster.pid` tells.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// A running server. Lines of `postmaster.pid`: pid, data directory, start time, port, socket directory, …
#[derive(Clone, Debug)]
pub(super) struct Postmaster {
    pub pid: Pid,
    pub port: u16,
    pub socket_dir: PathBuf,
}

/// What `postmaster.pid` says.
#[derive(Debug)]
pub(super) enum Found {
    Running(Postmaster),
    /// Still being written by a server that is just starting.
    Starting,
    /// A file left by a server that is gone.
    Stale,
    Nothing,
}

pub(super) fn look(data: &Path) -> Found {
    let Ok(text) = fs::read_to_string(data.join("postmaster.pid")) else { return Found::Nothing };
    let mut lines = text.lines().map(str::trim);
    let Some(pid) = lines.next().and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw) else {
        return Found::Stale;
    };
    if !is_alive(pid) || !is_server_of(pid, data) {
        return Found::Stale;
    }
    let (port, socket_dir) = (lines.nth(2).and_then(|port| port.parse().ok()), lines.next());
    match (port, socket_dir) {
        (Some(port), Some(dir)) if !dir.is_empty() => {
            Found::Running(Postmaster { pid, port, socket_dir: PathBuf::from(dir) })
        }
        _ => Found::Starting,
    }
}

/// Whether the process is there and not merely waiting to be reaped by a parent that takes its time.
pub(super) fn is_alive(pid: Pid) -> bool {
    if test_kill_process(pid).is_err() {
        return false;
    }
    // "PID (NAME) STATE …"; NAME may hold anything, so look after the last bracket. No /proc: kill's word stands.
    match fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())) {
        Ok(stat) => !stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with(['Z', 'X'])),
        Err(_) => true,
    }
}

/// After a reboot, or in a new container, the number may have gone to someone else; PostgreSQL itself would then
/// refuse to start. A server's working directory is its data directory.
fn is_server_of(pid: Pid, data: &Path) -> bool {
    match fs::read_link(format!("/proc/{}/cwd", pid.as_raw_nonzero())) {
        Ok(cwd) => cwd == data,
        Err(_) => true,
    }
}

/// A signal to a process that is gone is as good as one that arrived.
pub(super) fn signal(pid: Pid, signal: Signal) {
    if let Err(error) = kill_process(pid, signal) {
        log::debug!("signal {signal:?} to postgres {}: {error}", pid.as_raw_nonzero());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look_at(text: &str) -> Found {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("postmaster.pid"), text).unwrap();
        look(dir.path())
    }

    #[test]
    fn a_pid_that_now_belongs_to_another_program_is_a_stale_file() {
        let me = std::process::id();
        assert!(matches!(look_at(&format!("{me}\n/elsewhere\n1\n5432\n/tmp\n\n")), Found::Stale));
    }

    #[test]
    fn a_damaged_file_is_stale_and_no_file_is_nothing() {
        assert!(matches!(look_at("not a number\n"), Found::Stale));
        assert!(matches!(look_at("0\n"), Found::Stale));
        assert!(matches!(look(Path::new("/nowhere")), Found::Nothing));
    }

    #[test]
    fn a_process_that_ended_but_was_not_reaped_is_not_alive() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = Pid::from_child(&child);
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while is_alive(pid) && std::time::Instant::now() < deadline {
            std::thread::yield_now();
        }
        assert!(!is_alive(pid));
        child.wait().unwrap();
    }
}
