//! What the tasks share that run programs of the operator's list.

use std::path::PathBuf;
use std::time::Duration;

use flow_domain::flows::{Context, OrStop, Reason, Recovery, Stop};
use flow_domain::ports::{Limits, Program};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// A program that outlived its service is followed for this long before the engine is heard again.
pub const FOLLOW: Duration = Duration::from_millis(400);
pub const GRACE: Duration = Duration::from_secs(10);

/// `record` tells the calls of a step apart.
pub fn prepared(
    ctx: &Context,
    name: &str,
    args: &[String],
    stdin: Option<Vec<u8>>,
    record: &str,
    timeout: Duration,
) -> Result<Program, Stop> {
    let path = ctx.ports.programs.allowed(name)?;
    if args.iter().any(|arg| arg.contains('\0')) {
        return Err("an argument holds a NUL").fatal_clean("exec.argument_invalid");
    }
    // A step may have any name; its folder has one of ours.
    let step = flow_domain::hex(&Sha256::digest(&ctx.step)[..6]);
    let env = [("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), ("LANG", "C.UTF-8")];
    Ok(Program {
        path,
        args: args.to_vec(),
        env: env.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        cwd: "work".into(),
        record_dir: PathBuf::from(ctx.run.to_string()).join(step).join(record),
        stdin,
        grace: GRACE,
        timeout,
        limits: Limits::default(),
        confine: None,
    })
}

pub fn recovered<T: Serialize>(judged: Result<T, Stop>) -> Recovery {
    match judged.map(serde_json::to_value) {
        Ok(Ok(output)) => Recovery::Finished(output),
        Ok(Err(error)) => Recovery::Failed(Reason::new("task.output_unreadable", error.to_string())),
        Err(Stop::Retry { reason, .. } | Stop::Fail(reason) | Stop::FailClean(reason)) => {
            Recovery::Failed(reason)
        }
        Err(Stop::WaitUntil(_)) => Recovery::Unknown,
    }
}

/// Nothing was run, so nothing is to be taken back.
pub fn clean(stop: Stop) -> Stop {
    match stop {
        Stop::Fail(reason) => Stop::FailClean(reason),
        other => other,
    }
}

pub fn unstarted(error: flow_domain::Error) -> Stop {
    match error.code {
        "program.not_started" | "disk.full" => clean(error.into()),
        _ => error.into(),
    }
}
