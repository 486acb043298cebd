//! Whether a process is still the one we started: pid, start time and boot together.

use std::fs;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::record::{Identity, now_ms};

/// Fields of `/proc/PID/stat` that we use; see proc_pid_stat(5).
pub struct Stat {
    pub state: char,
    pub parent: i32,
    group: i32,
    session: i32,
    start_time: u64,
}

/// Reads who `pid` is. None when it is gone, or on a system without `/proc`.
pub fn identify(pid: i32) -> Option<Identity> {
    let Stat { start_time, session, .. } = stat(pid)?;
    Some(Identity { pid, start_time, boot_id: boot_id(), session, started_at_ms: now_ms() })
}

/// Whether the program itself lives. A zombie does not: its wrapper knows how it ended.
pub fn is_alive(identity: &Identity) -> bool {
    identity.boot_id == boot_id()
        && stat(identity.pid).is_some_and(|stat| stat.start_time == identity.start_time && stat.state != 'Z')
}

/// Whether anything of the program's group lives. Group and session together are not given to another program while
/// either is in use.
pub fn group_is_alive(identity: &Identity) -> bool {
    identity.boot_id == boot_id()
        && pids()
            .filter_map(stat)
            .any(|stat| stat.group == identity.pid && stat.session == identity.session && stat.state != 'Z')
}

/// Asks the program itself, and no other process of its group, to stop.
pub fn interrupt(identity: &Identity) {
    if let (true, Some(pid)) = (is_alive(identity), Pid::from_raw(identity.pid)) {
        // Gone since we looked: then there is nobody to ask.
        let _ = kill_process(pid, Signal::INT);
    }
}

/// Ends all of the program's group.
pub fn kill_group(identity: &Identity) {
    if let (true, Some(pid)) = (group_is_alive(identity), Pid::from_raw(identity.pid)) {
        let _ = kill_process_group(pid, Signal::KILL);
    }
}

pub fn stat(pid: i32) -> Option<Stat> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The program's name stands in parentheses and may hold spaces and parentheses itself.
fn parse(line: &str) -> Option<Stat> {
    let fields: Vec<&str> = line.rsplit_once(')')?.1.split_whitespace().collect();
    // The first field here is the third of the manual's list.
    let number = |position: usize| fields.get(position - 3)?.parse::<u64>().ok();
    Some(Stat {
        state: fields.first()?.chars().next()?,
        parent: i32::try_from(number(4)?).ok()?,
        group: i32::try_from(number(5)?).ok()?,
        session: i32::try_from(number(6)?).ok()?,
        start_time: number(22)?,
    })
}

pub fn pids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Another one after each boot; empty on a system without `/proc`.
fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_whose_name_looks_like_fields_is_read_right() {
        let line = "12 (a) b (c)) S 1 12 10 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2 3";
        let stat = parse(line).expect("a line of /proc/PID/stat");
        assert_eq!((stat.state, stat.group, stat.session, stat.start_time), ('S', 12, 10, 987654));
    }

    #[test]
    fn this_process_is_alive_and_another_start_time_is_not_it() {
        let pid = i32::try_from(std::process::id()).expect("pids are small");
        let identity = identify(pid).expect("we live");
        assert!(is_alive(&identity));
        assert!(!is_alive(&Identity { start_time: identity.start_time + 1, ..identity.clone() }));
        assert!(!is_alive(&Identity { boot_id: "another".into(), ..identity }));
    }
}
