//! `grade`: has the lab's own program look at what the caller did.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use flow_domain::SessionId;
use flow_domain::flows::OrStop;
use flow_domain::flows::{Context, Plan, Policy, Stop, TypedTask};
use flow_domain::labs::{Evidence, GradeJob, Lab, Session, SessionStatus};
use flow_domain::ports::Exit;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::grading::{MOST_FEEDBACK, Passing, Said, Test, cut};
use crate::lab_session::{lab, open, own_folder};

/// A grader that is told to stop has this long; then it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// What a process without processor time left is ended by; see signal(7).
const SIGXCPU: i32 = 24;

pub struct Grade;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The lab's name. The learner's answers are the `answers` of the run's own input.
    lab: String,
    /// The session this is for; default: the caller's open one.
    session: Option<SessionId>,
}

/// One graded attempt.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// The session that was graded.
    pub session: SessionId,
    /// Points that were reached.
    pub score: f64,
    /// Points that could be reached.
    pub max: f64,
    /// Whether the grader could look at all; else the score is 0, and the feedback says why.
    pub gradable: bool,
    /// The grader's tests, without hidden ones.
    pub tests: Vec<Test>,
    /// The grader's words.
    pub feedback: Option<String>,
    /// SHA-256 of the grading program, hexadecimal.
    pub grader_sha256: String,
    /// The lab's version that the session began with.
    pub lab_version: String,
    /// How long the grader took.
    pub duration_ms: i64,
}

#[async_trait]
impl TypedTask for Grade {
    const NAME: &'static str = "grade";
    const DESCRIPTION: &'static str = "Grades what the caller has done in a lab, by the lab's own program.";
    const PINS_HOST: bool = true;
    type Input = Input;
    type Output = Output;

    /// The lab's own limit is shorter.
    fn policy(&self) -> Policy {
        Policy {
            timeout: Duration::from_secs(960),
            grace: GRACE + Duration::from_secs(5),
            ..Policy::default()
        }
    }

    async fn run(&self, ctx: &Context, input: Input) -> Result<Output, Stop> {
        let lab = lab(ctx, &input.lab)?;
        let session = open(ctx, &lab.name, input.session).await?;
        // Still grading: an attempt whose process died.
        if !matches!(session.status, SessionStatus::Ready | SessionStatus::Grading) {
            let detail = "Your session of this lab is not ready to be graded.";
            return Err(Stop::fail_clean("session.not_ready", detail));
        }
        let found = ctx.ports.workspaces.find(ctx.caller.id, &lab.name).await?;
        let dir = found
            .ok_or_else(|| Stop::fail_clean("session.no_directory", "Your session has no directory."))?;
        ctx.ports.sessions.add_run(session.id, ctx.run).await?;
        ctx.ports.sessions.set_status(session.id, SessionStatus::Grading, None).await?;
        let graded = grade(ctx, &lab, &session, &dir).await;
        ctx.ports.sessions.set_status(session.id, SessionStatus::Ready, None).await?;
        graded
    }

    async fn plan(&self, ctx: &Context, input: Input) -> Plan {
        Plan::new(format!("Grades the caller's session of lab {:?}.", input.lab)).unless(lab(ctx, &input.lab))
    }
}

async fn grade(ctx: &Context, lab: &Lab, session: &Session, dir: &Path) -> Result<Output, Stop> {
    // The session's copy of the grader: it belongs to the version of the lab that the learner has.
    let grader = dir.join("grade");
    let grader_sha256 = flow_domain::hex(Sha256::digest(fs::read(&grader).fatal_clean("grade.no_grader")?));
    // The same attempt after a crash finds the grader that was started.
    let step = flow_domain::hex(&Sha256::digest(&ctx.step)[..6]);
    let own = own_folder(dir).fatal("session.directory_unusable")?;
    let timeout = Duration::from_secs(lab.grading.timeout_s);
    let job = GradeJob {
        grader,
        dir: dir.to_owned(),
        record_dir: own.join(format!("grade-{}-{step}-{}", ctx.run, ctx.attempt)),
        input: told(ctx, session),
        limits: lab.grading.limits(timeout),
        timeout,
        grace: GRACE,
    };
    ctx.progress(5, "The grader looks at your work");
    let started = Instant::now();
    let graded = ctx.ports.graders.grade(job, &Passing::to(ctx), &ctx.cancel).await.map_err(unfollowed)?;
    let duration_ms = i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX);

    let verdict = judge(&graded.exit, lab, graded.result);
    let evidence = Evidence {
        session: session.id,
        run: ctx.run,
        outcome: outcome(&verdict),
        tests: json!(verdict.as_ref().map_or(&[][..], |verdict| &verdict.said.tests[..])),
        output: output(&graded.exit),
        grader_sha256: grader_sha256.clone(),
        lab_version: session.lab_version.clone(),
        duration_ms,
    };
    ctx.ports.evidence.keep(&evidence).await?;
    let Verdict { said, gradable } = verdict?;
    Ok(Output {
        session: session.id,
        score: said.score,
        max: said.max,
        gradable,
        tests: Said::shown(said.tests),
        feedback: said.feedback,
        grader_sha256,
        lab_version: session.lab_version.clone(),
        duration_ms,
    })
}

/// What the grader is told; where the session's files are is added by whoever lays them out.
fn told(ctx: &Context, session: &Session) -> Value {
    json!({
        "session": session.id,
        "user": session.user,
        "lab": session.lab,
        "lab_version": session.lab_version,
        "attempt": ctx.attempt,
        "outputs": session.outputs,
        "answers": ctx.run_input.get("answers").filter(|answers| answers.is_object()).unwrap_or(&json!({})),
    })
}

fn outcome(verdict: &Result<Verdict, Stop>) -> String {
    match verdict {
        Ok(Verdict { gradable: true, .. }) => "graded".to_owned(),
        Ok(_) => "not_gradable".to_owned(),
        Err(Stop::Retry { reason, .. } | Stop::Fail(reason) | Stop::FailClean(reason)) => reason.code.clone(),
        Err(Stop::WaitUntil(_)) => "waiting".to_owned(),
    }
}

/// Both streams, each its head and tail; a database's text holds no NUL.
fn output(exit: &Exit) -> String {
    [&*exit.stdout, &*exit.stderr].concat().replace('\0', "\u{fffd}")
}

#[derive(Debug)]
struct Verdict {
    said: Said,
    gradable: bool,
}

/// Exit 0: graded. 1: cannot be graded, which is a score of zero and the reason. All else, and above all a timeout,
/// is no score at all.
fn judge(exit: &Exit, lab: &Lab, result: Result<Option<String>, String>) -> Result<Verdict, Stop> {
    if exit.timed_out {
        let detail = format!("The grader took longer than {} s; no grade was stored.", lab.grading.timeout_s);
        return Err(Stop::fail("grade.timed_out", detail));
    }
    if exit.cancelled {
        return Err(Stop::fail("grade.stopped", "The grader was stopped; no grade was stored."));
    }
    match exit.code {
        Some(0) => {
            let text = result.map_err(|why| fault(&why))?.or_else(|| last_line(&exit.stdout));
            let said =
                Said::read(&text.ok_or_else(|| fault("it gave no result"))?).map_err(|why| fault(&why))?;
            Ok(Verdict { said, gradable: true })
        }
        Some(1) => {
            let said = result.ok().flatten().and_then(|text| Said::read(&text).ok());
            let words = said.as_ref().and_then(|said| said.feedback.clone());
            let why = words.or_else(|| last_line(&exit.stdout)).or_else(|| last_line(&exit.stderr));
            let max = said.map_or(100.0, |said| said.max);
            let feedback = why.map(|why| cut(why, MOST_FEEDBACK));
            Ok(Verdict { said: Said { score: 0.0, max, tests: vec![], feedback }, gradable: false })
        }
        Some(code) => Err(fault(&format!("it ended with exit code {code}"))),
        None if exit.signal == Some(SIGXCPU) => {
            let detail = "The grader used more processor time than it has; no grade was stored.";
            Err(Stop::fail("grade.timed_out", detail))
        }
        None => Err(fault("it was ended by a signal")),
    }
}

fn last_line(output: &str) -> Option<String> {
    output.lines().rev().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
}

/// A grader that nobody saw end gave no grade; it may be asked again.
fn unfollowed(error: flow_domain::Error) -> Stop {
    match error.code {
        "program.lost" => fault("it was killed from outside"),
        _ => error.into(),
    }
}

fn fault(why: &str) -> Stop {
    Stop::retry("grade.fault", format!("The grader is at fault, not you: {why}. No grade was stored."))
}

#[cfg(test)]
mod tests;
