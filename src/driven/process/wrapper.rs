//! `flow-manager child DIR`: two processes between the service and a program, in a session of their own.
//!
//! The *wrapper* outlives the service, so that somebody hears how the program ended. It holds the record's lock for
//! as long as it lives, and it speaks only through the record's files. The *starter* is its child: it writes down who
//! it is and then becomes the program, with the same pid and start time. So there is no moment at which the program
//! runs and nobody could find it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, chown};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;

use flow_domain::ports::Confine;
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, getpid, getppid, kill_process_group, setsid, umask,
    waitid, waitpgid,
};
use signal_hook::consts::{SIGINT, SIGQUIT};

use super::confine::{end_descendants, limit};
use super::identity::identify;
use super::record::{Ending, Record};

/// Holds the wrapper's pid in the starter's environment, which ends with it.
const WRAPPER: &str = "FLOW_CHILD_WRAPPER";

/// Runs the program that the record in `dir` asks for; the wrapper's own exit code. All that matters is in the
/// record: nobody reads this code.
pub fn child_main(dir: &Path) -> i32 {
    let record = Record::at(dir);
    let done = match std::env::var(WRAPPER) {
        Ok(wrapper) => become_program(&record, &wrapper).or_else(|error| not_started(&record, &error)),
        Err(_) => supervise(&record),
    };
    match done {
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
    let_signals_through()?;
    record.begin()?;
    match start(record, spec.stdin) {
        Ok(child) => watch(record, child, spec.confine.is_some()),
        Err(error) => {
            record.forget_spec()?;
            not_started(record, &error)
        }
    }
}

/// A service that a script started in the background ignores SIGINT, and so would the program: a signal that is
/// ignored stays so, one that is caught is back to its default in whatever is started next.
fn let_signals_through() -> io::Result<()> {
    for signal in [SIGINT, SIGQUIT] {
        signal_hook::flag::register(signal, Arc::default())?;
    }
    Ok(())
}

/// Starts the starter, with the program's own input, output and group.
fn start(record: &Record, stdin: bool) -> io::Result<Child> {
    let output = |path: &Path| OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    let stdin = if stdin { Stdio::from(File::open(record.stdin())?) } else { Stdio::null() };
    Command::new(this_program()?)
        .arg("child")
        .arg(record.dir())
        .env_clear()
        .env(WRAPPER, getpid().to_string())
        .stdin(stdin)
        .stdout(output(&record.stdout())?)
        .stderr(output(&record.stderr())?)
        .process_group(0)
        .spawn()
}

/// The starter: tells who it is, then becomes the program. It returns only when it cannot.
fn become_program(record: &Record, wrapper: &str) -> io::Result<()> {
    let spec = record.spec()?.ok_or(io::ErrorKind::NotFound)?;
    if let Some(identity) = identify(getpid().as_raw_nonzero().get()) {
        record.set_identity(&identity)?;
    }
    record.forget_spec()?;
    // Whoever looked before the identity was written found a program that was lost: then it must not run. Its
    // wrapper was dead by then, for the wrapper's lock was free.
    if getppid().map(|parent| parent.to_string()).as_deref() != Some(wrapper) {
        return Ok(());
    }
    let mut program = Command::new(&spec.path);
    program.args(&spec.args).env_clear().envs(&spec.env).current_dir(&spec.cwd);
    let account = spec.confine.and_then(|confine| confine.account);
    let ready = confine(&mut program, spec.confine).and_then(|()| limit(spec.limits, account));
    let error = match ready {
        Ok(()) => program.exec(),
        Err(error) => error,
    };
    // The wrapper leaves it as it is.
    not_started(record, &error)
}

/// No program of another user's rights, and, with an account, none of the service's: its files are out of reach.
fn confine(program: &mut Command, confine: Option<Confine>) -> io::Result<()> {
    let Some(Confine { account }) = confine else { return Ok(()) };
    #[cfg(target_os = "linux")]
    rustix::thread::set_no_new_privs(true)?;
    if let Some(account) = account {
        // Other groups are given up with the user. What it opens again by /dev/stdout is its own.
        for stream in [1, 2] {
            chown(format!("/proc/self/fd/{stream}"), Some(account), Some(account))?;
        }
        program.uid(account).gid(account);
    }
    Ok(())
}

fn not_started(record: &Record, error: &io::Error) -> io::Result<()> {
    record.set_ending(&Ending { code: None, signal: None, not_started: Some(error.to_string()) })
}

/// This very program, even if its file was replaced since it was started.
fn this_program() -> io::Result<PathBuf> {
    match cfg!(target_os = "linux") {
        true => Ok(PathBuf::from("/proc/self/exe")),
        false => std::env::current_exe(),
    }
}

fn watch(record: &Record, mut child: Child, confined: bool) -> io::Result<()> {
    let status = wait_for_all(Pid::from_child(&child), &mut child)?;
    if confined {
        end_descendants();
    }
    record.forget_spec()?;
    if record.ending()?.is_some() {
        return Ok(());
    }
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
