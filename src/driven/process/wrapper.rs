//! `flow-manager child DIR`: a process between the service and a program, in a session of its own.
//!
//! It outlives the service, so that somebody hears how the program ended. It holds the record's lock for as long as
//! it lives, and it speaks only through the record's files.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use flow_domain::ports::Limits;
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitId, WaitIdOptions, WaitOptions, getpid, getsid, kill_process_group,
    setrlimit, setsid, umask, waitid, waitpgid,
};

use super::identity::identify;
use super::record::{Ending, Record, Spec};

/// Runs the program that the record in `dir` asks for; the wrapper's own exit code. All that matters is in the
/// record: nobody reads this code.
pub fn child_main(dir: &Path) -> i32 {
    match supervise(&Record::at(dir)) {
        Ok(()) => 0,
        Err(_) => 70,
    }
}

fn supervise(record: &Record) -> io::Result<()> {
    // A terminal's Ctrl-C is for the service alone. Refused only to the leader of a group, which has its own already.
    let _ = setsid();
    umask(Mode::RWXG | Mode::RWXO);
    let Some(_lock) = record.lock()? else { return Ok(()) };
    // Called off, or started by another wrapper.
    let Some(spec) = record.spec()? else { return Ok(()) };
    if record.begun() {
        return record.forget_spec();
    }
    adopt_orphans();
    record.begin()?;
    let started = limit(spec.limits).and_then(|()| start(record, &spec));
    record.forget_spec()?;
    match started {
        Ok(child) => watch(record, child),
        Err(error) => {
            record.set_ending(&Ending { code: None, signal: None, not_started: Some(error.to_string()) })
        }
    }
}

fn start(record: &Record, spec: &Spec) -> io::Result<Child> {
    let output = |path: &Path| OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    let stdin = if spec.stdin { Stdio::from(File::open(record.stdin())?) } else { Stdio::null() };
    Command::new(&spec.path)
        .args(&spec.args)
        .env_clear()
        .envs(&spec.env)
        .current_dir(&spec.cwd)
        .stdin(stdin)
        .stdout(output(&record.stdout())?)
        .stderr(output(&record.stderr())?)
        .process_group(0)
        .spawn()
}

fn watch(record: &Record, mut child: Child) -> io::Result<()> {
    let pid = Pid::from_child(&child);
    let session = getsid(None)?.as_raw_nonzero().get();
    let told = match identify(pid.as_raw_nonzero().get(), session) {
        Some(identity) => record.set_identity(&identity),
        None => Ok(()),
    };
    if told.is_err() {
        // A program nobody can find again must not go on.
        let _ = kill_process_group(pid, Signal::KILL);
    }
    let status = wait_for_all(pid, &mut child)?;
    told?;
    record.set_ending(&Ending { code: status.code(), signal: status.signal(), not_started: None })
}

/// Waits for the program, ends what is left of its group, and waits until that is gone too.
fn wait_for_all(pid: Pid, child: &mut Child) -> io::Result<ExitStatus> {
    // Left a zombie until the group has its signal: nobody else can get its number meanwhile.
    while let Err(error) = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
        if error != Errno::INTR {
            return Err(error.into());
        }
    }
    let _ = kill_process_group(pid, Signal::KILL);
    let status = child.wait()?;
    loop {
        match waitpgid(pid, WaitOptions::empty()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return Ok(status),
        }
    }
}

/// What the program leaves behind becomes our child, so that we see it end.
fn adopt_orphans() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_child_subreaper(Some(getpid()));
}

/// Set on the wrapper, and inherited. No core dumps: they hold secrets.
fn limit(limits: Limits) -> io::Result<()> {
    let wanted = [
        (Resource::Core, Some(0)),
        (Resource::Cpu, limits.cpu_s),
        (Resource::As, limits.memory_bytes),
        (Resource::Fsize, limits.file_bytes),
    ];
    for (resource, most) in wanted {
        if most.is_some() {
            setrlimit(resource, Rlimit { current: most, maximum: most })?;
        }
    }
    Ok(())
}
