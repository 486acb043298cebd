//! `exec`: runs a program of the operator's list.

use std::time::Duration;

use async_trait::async_trait;
use flow_domain::flows::{Context, Effect, Plan, Policy, Recovery, Stop, TypedTask};
use flow_domain::ports::{ChildState, Exit, Lines, Program};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::programs::{FOLLOW, GRACE, clean, prepared, recovered, unstarted};

pub struct Exec;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The program's name on the operator's list.
    program: String,
    /// Its arguments, as a list; no shell reads them.
    #[serde(default)]
    args: Vec<String>,
    /// Given to it on standard input.
    stdin: Option<String>,
    /// How long it may take, in seconds.
    #[serde(default = "default_timeout_s")]
    #[schemars(range(min = 1, max = 86000))]
    timeout_s: u32,
}

fn default_timeout_s() -> u32 {
    300
}

#[derive(Serialize, JsonSchema)]
pub struct Output {
    /// Always 0: any other code fails the step.
    exit_code: i32,
    /// Head and tail of what it wrote, at most 64 KiB.
    stdout: String,
    /// Head and tail of what it wrote to standard error, at most 64 KiB.
    stderr: String,
}

#[async_trait]
impl TypedTask for Exec {
    const NAME: &'static str = "exec";
    const DESCRIPTION: &'static str = "Runs a program of the operator's list, with arguments and no shell.";
    const PINS_HOST: bool = true;
    type Input = Input;
    type Output = Output;

    /// Nobody knows what a program does when it is run twice.
    fn effect(&self) -> Effect {
        Effect::Once
    }

    /// The input's own timeout is shorter.
    fn policy(&self) -> Policy {
        Policy {
            timeout: Duration::from_secs(86400),
            grace: GRACE + Duration::from_secs(5),
            ..Policy::default()
        }
    }

    async fn run(&self, ctx: &Context, input: Input) -> Result<Output, Stop> {
        let program = program(ctx, &input).map_err(clean)?;
        let exit = ctx.ports.programs.run(program, &Passing { ctx, aloud: true }, &ctx.cancel).await;
        judge(&input, exit.map_err(unstarted)?)
    }

    async fn recover(&self, ctx: &Context, input: Input) -> Recovery {
        let Ok(program) = program(ctx, &input) else { return Recovery::Unknown };
        match ctx.ports.programs.inspect(&program.record_dir) {
            ChildState::NeverStarted => Recovery::NeverStarted,
            ChildState::Lost => Recovery::Unknown,
            ChildState::Exited(_) | ChildState::Running => {
                let silent = Passing { ctx, aloud: false };
                let followed = ctx.ports.programs.run(program, &silent, &ctx.cancel);
                match tokio::time::timeout(FOLLOW, followed).await {
                    Err(_) => Recovery::Running,
                    Ok(Ok(exit)) => recovered(judge(&input, exit)),
                    Ok(Err(_)) => Recovery::Unknown,
                }
            }
        }
    }

    async fn plan(&self, ctx: &Context, input: Input) -> Plan {
        let summary = format!("Runs {:?} with {} arguments.", input.program, input.args.len());
        Plan::new(summary).unless(program(ctx, &input))
    }
}

fn program(ctx: &Context, input: &Input) -> Result<Program, Stop> {
    let (stdin, attempt) = (input.stdin.clone().map(String::into_bytes), ctx.attempt.to_string());
    let timeout = Duration::from_secs(input.timeout_s.into());
    prepared(ctx, &input.program, &input.args, stdin, &attempt, timeout)
}

fn judge(input: &Input, exit: Exit) -> Result<Output, Stop> {
    let name = &input.program;
    if let Some(exit_code @ 0) = exit.code {
        return Ok(Output { exit_code, stdout: exit.stdout, stderr: exit.stderr });
    }
    if exit.timed_out {
        return Err(Stop::fail("exec.timed_out", format!("{name} took longer than {} s.", input.timeout_s)));
    }
    if exit.cancelled {
        return Err(Stop::fail("exec.stopped", format!("{name} was stopped.")));
    }
    let end = match exit.code {
        Some(code) => format!("{name} ended with exit code {code}"),
        None => format!("{name} was ended by signal {}", exit.signal.unwrap_or_default()),
    };
    let words = exit.stderr.lines().rev().map(str::trim).find(|line| !line.is_empty());
    Err(Stop::fail("exec.failed", words.map_or(format!("{end}."), |words| format!("{end}: {words}"))))
}

/// Passes the program's words on as they come; after a crash they were passed on already.
struct Passing<'a> {
    ctx: &'a Context,
    aloud: bool,
}

impl Lines for Passing<'_> {
    fn stdout(&self, line: &str) {
        if self.aloud {
            self.ctx.line(line);
        }
    }

    fn stderr(&self, line: &str) {
        self.stdout(line);
    }

    fn masked(&self, line: &str) -> Option<String> {
        self.ctx.masked(line)
    }
}
