//! What a program may use, and how a confined one is held and ended.
//!
//! Limits are the system's own (setrlimit(2)), set in the starter and inherited by all that the program starts: they
//! need no service manager, no control group and no right, so they hold in a container and for a user as well as for
//! root. They are per process, but for processes, which the system counts by user: that is why each confined program
//! has a user of its own where that can be.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

use flow_domain::ports::Limits;
use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitOptions, getpid, getuid, kill_process, setrlimit, wait,
};

use super::identity::{pids, stat};

/// Between two looks at what is left.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// Held still for longer than this, something cannot be held; then it is killed as it is.
const HOLD: Duration = Duration::from_secs(5);

/// Set on the starter, and inherited. No core dumps: they hold secrets.
pub fn limit(limits: Limits, account: Option<u32>) -> io::Result<()> {
    let processes = limits.processes.map(|most| match account {
        Some(_) => most,
        None => most + tasks_of(getuid().as_raw()),
    });
    let wanted = [
        (Resource::Core, Some(0)),
        (Resource::Cpu, limits.cpu_s),
        (Resource::As, limits.memory_bytes),
        (Resource::Fsize, limits.file_bytes),
        (Resource::Nproc, processes),
    ];
    for (resource, most) in wanted {
        if let Some(most) = most {
            // Out of processor time, a process is told (SIGXCPU) before it is killed.
            let hard = if matches!(resource, Resource::Cpu) { most + 5 } else { most };
            setrlimit(resource, Rlimit { current: Some(most), maximum: Some(hard) })?;
        }
    }
    Ok(())
}

/// Ends every process that this one started, directly or not, and waits until all are gone. This process is their
/// subreaper, so none of them gets away by leaving its group, its session or its parent.
///
/// They are stopped before they are killed: one that only forks is then full up to its limit and stands still.
pub fn end_descendants() {
    let start = Instant::now();
    loop {
        let left = descendants();
        if left.is_empty() {
            return reap();
        }
        let moving: Vec<i32> = left.iter().filter(|(_, state)| *state != 'T').map(|(pid, _)| *pid).collect();
        if moving.is_empty() || start.elapsed() > HOLD {
            left.iter().for_each(|(pid, _)| send(*pid, Signal::KILL));
        } else {
            moving.into_iter().for_each(|pid| send(pid, Signal::STOP));
        }
        reap();
        sleep(LOOK_EVERY);
    }
}

/// Ends every process of this user, which is nobody else's.
pub fn end_all_of(user: u32) {
    while let left @ [_, ..] = &pids().filter(|pid| is_of(*pid, user)).collect::<Vec<_>>()[..] {
        left.iter().for_each(|pid| send(*pid, Signal::KILL));
        sleep(LOOK_EVERY);
    }
}

/// What lives below this process, and its state.
fn descendants() -> Vec<(i32, char)> {
    let all: Vec<_> = pids().filter_map(|pid| Some((pid, stat(pid)?))).collect();
    let mut family = BTreeSet::from([getpid().as_raw_nonzero().get()]);
    loop {
        let before = family.len();
        family.extend(
            all.iter()
                .filter(|(_, stat)| family.contains(&stat.parent))
                .map(|(pid, _)| *pid)
                .collect::<Vec<_>>(),
        );
        if family.len() == before {
            break;
        }
    }
    family.remove(&getpid().as_raw_nonzero().get());
    let alive =
        all.into_iter().filter(|(pid, stat)| family.contains(pid) && !matches!(stat.state, 'Z' | 'X'));
    alive.map(|(pid, stat)| (pid, stat.state)).collect()
}

fn reap() {
    while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
}

fn send(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        // Gone since we looked: then there is nothing to end.
        let _ = kill_process(pid, signal);
    }
}

fn is_of(pid: i32, user: u32) -> bool {
    stat(pid).is_some_and(|stat| stat.state != 'Z') && status(pid).is_some_and(|(uid, _)| uid == user)
}

/// Processes and threads that this user has.
fn tasks_of(user: u32) -> u64 {
    pids().filter_map(status).filter(|(uid, _)| *uid == user).map(|(_, threads)| threads).sum()
}

/// The real user and the number of threads of a process.
fn status(pid: i32) -> Option<(u32, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key))?.split_whitespace().next();
    Some((value("Uid:")?.parse().ok()?, value("Threads:")?.parse().ok()?))
}
