//! `check_step`: looks whether a step of a lab's tutorial is done.

use std::fs;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use flow_domain::SessionId;
use flow_domain::flows::OrStop;
use flow_domain::flows::{Context, Policy, Stop, TypedTask};
use flow_domain::labs::{GradeJob, Lab, Look, Session, SessionStatus};
use flow_domain::ports::Exit;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::grading::{Passing, cut};
use crate::lab_session::{lab, open, own_folder};

/// As a grader's.
const GRACE: Duration = Duration::from_secs(5);
/// Somebody waits for it.
const MOST: Duration = Duration::from_secs(60);
/// Of the words for the learner.
const MOST_WORDS: usize = 4 << 10;

pub struct CheckStep;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The lab's name.
    lab: String,
    /// The session this is for; default: the caller's open one.
    session: Option<SessionId>,
    /// The step's number in the tutorial, from 1.
    #[schemars(range(min = 1))]
    step: u32,
}

#[derive(Serialize, JsonSchema)]
pub struct Output {
    /// The step's number.
    step: u32,
    /// Whether it is done.
    passed: bool,
    /// What the check says to the learner.
    message: Option<String>,
}

#[async_trait]
impl TypedTask for CheckStep {
    const NAME: &'static str = "check_step";
    const DESCRIPTION: &'static str =
        "Looks whether a step of a lab's tutorial is done, by the lab's own program.";
    const PINS_HOST: bool = true;
    type Input = Input;
    type Output = Output;

    fn policy(&self) -> Policy {
        Policy { timeout: MOST * 2, grace: GRACE + Duration::from_secs(5), ..Policy::default() }
    }

    async fn run(&self, ctx: &Context, input: Input) -> Result<Output, Stop> {
        let lab = lab(ctx, &input.lab)?;
        let session = open(ctx, &lab.name, input.session).await?;
        if session.status != SessionStatus::Ready {
            return Err(Stop::fail_clean("session.not_ready", "Your session of this lab is not ready."));
        }
        let found = ctx.ports.workspaces.find(ctx.caller.id, &lab.name).await?;
        let dir = found
            .ok_or_else(|| Stop::fail_clean("session.no_directory", "Your session has no directory."))?;
        // The session's copy: it belongs to the version of the lab that the learner has.
        let check = dir.join("checks").join(input.step.to_string());
        let (passed, message) = match check.exists() {
            true => look(ctx, &lab, &session, &dir, input.step).await?,
            false => (true, None),
        };
        let look = Look { session: session.id, step: input.step, passed, message, run: ctx.run };
        ctx.ports.step_checks.keep(&look).await?;
        Ok(Output { step: look.step, passed, message: look.message })
    }
}

/// Runs the check: exit 0 is done, 1 is not, and its last line says what is missing.
async fn look(
    ctx: &Context,
    lab: &Lab,
    session: &Session,
    dir: &Path,
    number: u32,
) -> Result<(bool, Option<String>), Stop> {
    let check = dir.join("checks").join(number.to_string());
    fs::metadata(&check).fatal_clean("check.none")?;
    let step = flow_domain::hex(&Sha256::digest(&ctx.step)[..6]);
    let own = own_folder(dir).fatal("session.directory_unusable")?;
    let timeout = Duration::from_secs(lab.grading.timeout_s).min(MOST);
    let answers = ctx.run_input.get("answers").filter(|answers| answers.is_object());
    let job = GradeJob {
        grader: check,
        dir: dir.to_owned(),
        record_dir: own.join(format!("check-{}-{step}-{}", ctx.run, ctx.attempt)),
        input: json!({
            "session": session.id,
            "user": session.user,
            "lab": session.lab,
            "lab_version": session.lab_version,
            "attempt": ctx.attempt,
            "step": number,
            "outputs": session.outputs,
            "answers": answers.unwrap_or(&json!({})),
        }),
        limits: lab.grading.limits(timeout),
        timeout,
        grace: GRACE,
    };
    let graded = ctx.ports.graders.grade(job, &Passing::to(ctx), &ctx.cancel).await;
    let graded = graded.map_err(|error| match error.code {
        "program.lost" => fault("it was killed from outside"),
        _ => error.into(),
    })?;
    verdict(&graded.exit, timeout)
}

fn verdict(exit: &Exit, timeout: Duration) -> Result<(bool, Option<String>), Stop> {
    if exit.timed_out {
        let detail = format!("The check took longer than {} s; nothing was found out.", timeout.as_secs());
        return Err(Stop::fail("check.timed_out", detail));
    }
    if exit.cancelled {
        return Err(Stop::fail("check.stopped", "The check was stopped; nothing was found out."));
    }
    let last = |output: &str| {
        let line = output.lines().rev().map(str::trim).find(|line| !line.is_empty());
        line.map(|line| cut(line.replace('\0', "\u{fffd}"), MOST_WORDS))
    };
    let words = last(&exit.stdout);
    match exit.code {
        Some(0) => Ok((true, words)),
        Some(1) => Ok((false, words.or_else(|| last(&exit.stderr)))),
        Some(code) => Err(fault(&format!("it ended with exit code {code}"))),
        None => Err(fault("it was ended by a signal")),
    }
}

fn fault(why: &str) -> Stop {
    Stop::fail("check.fault", format!("The check is at fault, not you: {why}. Nothing was found out."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(code: Option<i32>, stdout: &str) -> Exit {
        Exit {
            code,
            signal: code.is_none().then_some(9),
            timed_out: false,
            cancelled: false,
            stdout: stdout.to_owned(),
            stderr: String::new(),
        }
    }

    #[test]
    fn only_exit_0_is_done_and_only_exit_1_is_not() {
        let verdict = |code, text| verdict(&exit(code, text), MOST);
        assert!(
            matches!(verdict(Some(0), "a\nwell done\n\n"), Ok((true, Some(words))) if words == "well done")
        );
        assert!(matches!(verdict(Some(0), ""), Ok((true, None))));
        assert!(matches!(verdict(Some(1), "the sign"), Ok((false, Some(words))) if words == "the sign"));
        for code in [Some(2), Some(127), None] {
            assert!(matches!(verdict(code, "ok"), Err(Stop::Fail(reason)) if reason.code == "check.fault"));
        }
        let late = Exit { timed_out: true, ..exit(Some(0), "ok") };
        assert!(super::verdict(&late, MOST).is_err());
    }
}
