//! `grade`: has the lab's own program look at what the caller did.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use flow_domain::SessionId;
use flow_domain::flows::OrStop;
use flow_domain::flows::{Context, Plan, Policy, Stop, TypedTask};
use flow_domain::labs::{Lab, Session, SessionStatus};
use flow_domain::ports::{Exit, Limits, Lines, Program};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::grading::{Said, Test};
use crate::lab_session::{lab, open, own_folder, private_folder};

/// A grader that is told to stop has this long; then it is killed.
const GRACE: Duration = Duration::from_secs(5);
/// Of address space, which is more than what is used.
const MEMORY_BYTES: u64 = 4 << 30;
const FILE_BYTES: u64 = 64 << 20;

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
        ctx.ports.sessions.set_status(session.id, SessionStatus::Grading, None).await?;
        let graded = grade(ctx, &lab, &session, &dir).await;
        ctx.ports.sessions.set_status(session.id, SessionStatus::Ready, None).await?;
        graded
    }

    async fn plan(&self, _ctx: &Context, input: Input) -> Plan {
        Plan { summary: format!("Grades the caller's session of lab {:?}.", input.lab) }
    }
}

async fn grade(ctx: &Context, lab: &Lab, session: &Session, dir: &Path) -> Result<Output, Stop> {
    // The session's copy of the grader: it belongs to the version of the lab that the learner has.
    let grader = dir.join("grade");
    let bytes = fs::read(&grader).fatal_clean("grade.no_grader")?;
    let desk = Desk::set_up(ctx, session, dir).fatal("grade.directory_unusable")?;
    fs::set_permissions(&grader, fs::Permissions::from_mode(0o700)).fatal("grade.no_grader")?;

    ctx.progress(5, "The grader looks at your work");
    let started = Instant::now();
    let program = desk.program(grader, Duration::from_secs(lab.grade_timeout_s));
    let exit = ctx.ports.programs.run(program, &Passing(ctx), &ctx.cancel).await;
    let said = exit.map_err(unfollowed).and_then(|exit| judge(&exit, lab, desk.result()));
    desk.clear();
    let verdict = said?;
    Ok(Output {
        session: session.id,
        score: verdict.said.score,
        max: verdict.said.max,
        gradable: verdict.gradable,
        tests: Said::shown(verdict.said.tests),
        feedback: verdict.said.feedback,
        grader_sha256: flow_domain::hex(Sha256::digest(bytes)),
        lab_version: session.lab_version.clone(),
        duration_ms: i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX),
    })
}

/// The folder in which one attempt is graded, in the session's directory and out of the lab's way.
struct Desk {
    dir: PathBuf,
}

impl Desk {
    /// The same attempt after a crash finds its own folder, and in it the grader that was started.
    fn set_up(ctx: &Context, session: &Session, dir: &Path) -> io::Result<Self> {
        let step = flow_domain::hex(&Sha256::digest(&ctx.step)[..6]);
        let desk = Self { dir: own_folder(dir)?.join(format!("grade-{}-{step}-{}", ctx.run, ctx.attempt)) };
        private_folder(&desk.dir)?;
        let input = json!({
            "session": session.id,
            "user": session.user,
            "lab": session.lab,
            "lab_version": session.lab_version,
            "attempt": ctx.attempt,
            "directory": dir,
            "outputs": session.outputs,
            "answers": ctx.run_input.get("answers").filter(|answers| answers.is_object()).unwrap_or(&json!({})),
        });
        // One key a line, so that a grader needs no more than a shell to read it.
        fs::write(desk.dir.join("input.json"), serde_json::to_vec_pretty(&input)?)?;
        Ok(desk)
    }

    fn program(&self, grader: PathBuf, timeout: Duration) -> Program {
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        let env = [
            ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()),
            ("LANG", "C.UTF-8".to_owned()),
            ("HOME", text(self.dir.join("work"))),
            ("TMPDIR", text(self.dir.join("work"))),
            ("FM_GRADE_INPUT", text(self.dir.join("input.json"))),
            ("FM_GRADE_RESULT", text(self.dir.join("result.json"))),
        ];
        Program {
            path: grader,
            args: vec![],
            env: env.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<BTreeMap<_, _>>(),
            cwd: "work".into(),
            record_dir: self.dir.clone(),
            stdin: None,
            grace: GRACE,
            timeout,
            limits: Limits {
                cpu_s: Some(timeout.as_secs()),
                memory_bytes: Some(MEMORY_BYTES),
                file_bytes: Some(FILE_BYTES),
            },
        }
    }

    /// What the grader wrote, if it wrote something.
    fn result(&self) -> Option<String> {
        fs::read_to_string(self.dir.join("result.json")).ok().filter(|text| !text.trim().is_empty())
    }

    fn clear(&self) {
        if let Err(error) = fs::remove_dir_all(&self.dir) {
            log::warn!("a grading folder is left behind: {error}");
        }
    }
}

#[derive(Debug)]
struct Verdict {
    said: Said,
    gradable: bool,
}

/// Exit 0: graded. 1: cannot be graded, which is a score of zero and the reason. All else, and above all a timeout,
/// is no score at all.
fn judge(exit: &Exit, lab: &Lab, result: Option<String>) -> Result<Verdict, Stop> {
    if exit.timed_out {
        let detail = format!("The grader took longer than {} s; no grade was stored.", lab.grade_timeout_s);
        return Err(Stop::fail("grade.timed_out", detail));
    }
    if exit.cancelled {
        return Err(Stop::fail("grade.stopped", "The grader was stopped; no grade was stored."));
    }
    match exit.code {
        Some(0) => {
            let text = result.or_else(|| last_line(&exit.stdout));
            let said =
                Said::read(&text.ok_or_else(|| fault("it gave no result"))?).map_err(|why| fault(&why))?;
            Ok(Verdict { said, gradable: true })
        }
        Some(1) => {
            let said = result.and_then(|text| Said::read(&text).ok());
            let words = said.as_ref().and_then(|said| said.feedback.clone());
            let why = words.or_else(|| last_line(&exit.stdout)).or_else(|| last_line(&exit.stderr));
            let max = said.map_or(100.0, |said| said.max);
            Ok(Verdict { said: Said { score: 0.0, max, tests: vec![], feedback: why }, gradable: false })
        }
        Some(code) => Err(fault(&format!("it ended with exit code {code}"))),
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

/// Passes the grader's words on as they come.
struct Passing<'a>(&'a Context);

impl Lines for Passing<'_> {
    fn stdout(&self, line: &str) {
        self.0.line(line);
    }

    fn stderr(&self, line: &str) {
        self.0.line(line);
    }
}

#[cfg(test)]
mod tests;
