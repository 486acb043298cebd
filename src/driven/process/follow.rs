//! Follows a program by its record, from its first line to its end, whoever started it.

use std::time::Duration;

use flow_domain::ports::{ChildState, Exit, Lines};
use flow_domain::{CancelSignal, Error, Kind, Result};
use tokio::process::Child;

use super::identity::{group_is_alive, interrupt, is_alive, kill_group};
use super::output::{Tail, head_and_tail};
use super::record::{Ending, Record, Stop, StopReason, now_ms};

/// How often the files are looked at. The end of a program we started ourselves is heard at once.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// When and how patiently to stop it.
pub struct Patience {
    pub timeout: Duration,
    pub grace: Duration,
}

/// Follows the program to its end. `wrapper` is the one this call started, if it did.
pub async fn follow(
    record: &Record,
    mut wrapper: Option<Child>,
    patience: &Patience,
    lines: &dyn Lines,
    cancel: &CancelSignal,
) -> Result<Exit> {
    let mut stdout = Tail::new(record.stdout());
    let mut stderr = Tail::new(record.stderr());
    loop {
        stdout.read(&mut |line| lines.stdout(line)).map_err(Error::internal)?;
        stderr.read(&mut |line| lines.stderr(line)).map_err(Error::internal)?;
        if let Some(ending) = record.ending().map_err(Error::internal)? {
            stdout.finish(&mut |line| lines.stdout(line)).map_err(Error::internal)?;
            stderr.finish(&mut |line| lines.stderr(line)).map_err(Error::internal)?;
            return finished(record, ending);
        }
        let wrapper_lives = match &mut wrapper {
            Some(wrapper) => wrapper.try_wait().map_err(Error::internal)?.is_none(),
            None => false,
        };
        match state(record)? {
            ChildState::Running | ChildState::Exited(_) => {}
            ChildState::NeverStarted if wrapper_lives => {}
            ChildState::NeverStarted => {
                return Err(not_started("its wrapper ended before it started anything"));
            }
            ChildState::Lost => return Err(lost(record).await),
        }
        hurry(record, patience, cancel)?;
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = gone(&mut wrapper) => {}
        }
    }
}

/// What the record says now. Calls nothing off.
pub fn state(record: &Record) -> Result<ChildState> {
    let read = || -> std::io::Result<Option<ChildState>> {
        if !record.exists() {
            return Ok(Some(ChildState::NeverStarted));
        }
        let lock = record.try_lock()?;
        // The exit is written under the lock: read after we tried for it, a missing one is missing for good.
        if let Some(ending) = record.ending()? {
            return Ok(Some(match ending.not_started {
                Some(_) => ChildState::NeverStarted,
                None => ChildState::Exited(exit(record, &ending)?),
            }));
        }
        if lock.is_none() {
            return Ok(Some(ChildState::Running));
        }
        Ok(None)
    };
    if let Some(state) = read().map_err(Error::internal)? {
        return Ok(state);
    }
    if !record.begun() {
        return Ok(ChildState::NeverStarted);
    }
    Ok(match record.identity().map_err(Error::internal)? {
        // Its wrapper was killed; nobody will hear how it ends.
        Some(identity) if is_alive(&identity) => ChildState::Running,
        _ => ChildState::Lost,
    })
}

/// One SIGINT to the program itself; once the grace is over or the cancel is forced, SIGKILL to all of its group.
fn hurry(record: &Record, patience: &Patience, cancel: &CancelSignal) -> Result<()> {
    let Some(identity) = record.identity().map_err(Error::internal)? else { return Ok(()) };
    let now = now_ms();
    let since = |then: u64| Duration::from_millis(now.saturating_sub(then));
    match record.stop().map_err(Error::internal)? {
        Some(stop) if cancel.is_forced() || since(stop.at_ms) >= patience.grace => kill_group(&identity),
        Some(_) => {}
        None => {
            let reason = match cancel.is_cancelled() {
                true => StopReason::Cancel,
                false if since(identity.started_at_ms) >= patience.timeout => StopReason::Timeout,
                false => return Ok(()),
            };
            record.set_stop(&Stop { reason, at_ms: now }).map_err(Error::internal)?;
            match cancel.is_forced() {
                true => kill_group(&identity),
                false => interrupt(&identity),
            }
        }
    }
    Ok(())
}

/// Ready when the wrapper we started is gone; never, when there is none any more.
async fn gone(wrapper: &mut Option<Child>) {
    match wrapper {
        Some(child) => {
            let _ = child.wait().await;
            *wrapper = None;
        }
        None => std::future::pending().await,
    }
}

fn finished(record: &Record, ending: Ending) -> Result<Exit> {
    match &ending.not_started {
        Some(why) => Err(not_started(why)),
        None => exit(record, &ending).map_err(Error::internal),
    }
}

pub fn exit(record: &Record, ending: &Ending) -> std::io::Result<Exit> {
    let stop = record.stop()?.map(|stop| stop.reason);
    Ok(Exit {
        code: ending.code,
        signal: ending.signal,
        timed_out: stop == Some(StopReason::Timeout),
        cancelled: stop == Some(StopReason::Cancel),
        stdout: head_and_tail(&record.stdout())?,
        stderr: head_and_tail(&record.stderr())?,
    })
}

fn not_started(cause: &str) -> Error {
    Error::new(Kind::Internal, "program.not_started", "The program could not be started on this machine.")
        .because(cause)
}

/// The program is gone and so is its wrapper: what it left behind goes as well.
async fn lost(record: &Record) -> Error {
    if let Ok(Some(identity)) = record.identity() {
        kill_group(&identity);
        while group_is_alive(&identity) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
    Error::new(Kind::Internal, "program.lost", "The program was started, and nobody saw how it ended.")
        .because(record.dir().display())
}
