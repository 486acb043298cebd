//! `program`: a task in any language. A program of the operator's list that is told what to do as JSON and says how it
//! went in lines; docs/tasks.md has the protocol.

use std::time::Duration;

use async_trait::async_trait;
use flow_domain::flows::{Context, Effect, Plan, Policy, Recovery, Stop, TypedTask};
use flow_domain::ports::{ChildState, Program};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::programs::{FOLLOW, GRACE, clean, prepared, recovered, unstarted};
use crate::spoken::{Aloud, Spoken};

/// Undos of one step that are told apart; each is tried a few times.
const MOST_UNDOS: u32 = 1000;

pub struct RunProgram;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The program's name on the operator's list.
    program: String,
    /// Its arguments, as a list; no shell reads them.
    #[serde(default)]
    args: Vec<String>,
    /// What it is told to work on.
    #[serde(default)]
    input: Map<String, Value>,
    /// Whether it can take back what it did: then it is called again for that.
    #[serde(default)]
    undo: bool,
    /// How long one call may take, in seconds.
    #[serde(default = "default_timeout_s")]
    #[schemars(range(min = 1, max = 86000))]
    timeout_s: u32,
}

fn default_timeout_s() -> u32 {
    300
}

#[derive(Serialize, JsonSchema)]
pub struct Output {
    /// What it said it made: the JSON of its last line `@output`; null when it said nothing.
    output: Value,
}

#[async_trait]
impl TypedTask for RunProgram {
    const NAME: &'static str = "program";
    const DESCRIPTION: &'static str = "Runs a task written in any language: a program of the operator's list that speaks the task protocol.";
    const PINS_HOST: bool = true;
    const UNDOABLE: bool = true;
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
        let program = told(ctx, &input, "run", None, &ctx.attempt.to_string()).map_err(clean)?;
        let spoken = Spoken::by(ctx, Aloud::Yes);
        let exit = ctx.ports.programs.run(program, &spoken, &ctx.cancel).await.map_err(unstarted)?;
        Ok(Output { output: spoken.judge(&input.program, input.timeout_s, &exit)? })
    }

    /// What it leaves half done, or nobody saw the end of, it is asked to take back too.
    async fn undo(&self, ctx: &Context, input: Input, output: Option<Value>) -> Result<(), Stop> {
        if !input.undo {
            return Ok(());
        }
        let made = output.map_or(Value::Null, |mut output| output["output"].take());
        for number in 1..=MOST_UNDOS {
            let program = told(ctx, &input, "undo", Some(&made), &format!("undo-{number}"))?;
            // One that failed, or that nobody saw the end of, is done again; one that still goes is followed.
            let before = ctx.ports.programs.inspect(&program.record_dir);
            if before == ChildState::Lost {
                continue;
            }
            let over = matches!(before, ChildState::Exited(_));
            let spoken = Spoken::by(ctx, if over { Aloud::No } else { Aloud::Yes });
            let exit = ctx.ports.programs.run(program, &spoken, &ctx.cancel).await.map_err(unstarted)?;
            match spoken.judge(&input.program, input.timeout_s, &exit) {
                Err(_) if over => {}
                judged => return judged.map(drop),
            }
        }
        Err(Stop::fail("program.undo_failed", format!("{} could not take it back.", input.program)))
    }

    async fn recover(&self, ctx: &Context, input: Input) -> Recovery {
        let Ok(program) = told(ctx, &input, "run", None, &ctx.attempt.to_string()) else {
            return Recovery::Unknown;
        };
        match ctx.ports.programs.inspect(&program.record_dir) {
            ChildState::NeverStarted => Recovery::NeverStarted,
            ChildState::Lost => Recovery::Unknown,
            ChildState::Exited(_) | ChildState::Running => {
                let spoken = Spoken::by(ctx, Aloud::No);
                let followed = ctx.ports.programs.run(program, &spoken, &ctx.cancel);
                match tokio::time::timeout(FOLLOW, followed).await {
                    Err(_) => Recovery::Running,
                    Ok(Ok(exit)) => {
                        let judged = spoken.judge(&input.program, input.timeout_s, &exit);
                        recovered(judged.map(|output| Output { output }))
                    }
                    Ok(Err(_)) => Recovery::Unknown,
                }
            }
        }
    }

    async fn plan(&self, ctx: &Context, input: Input) -> Plan {
        let back = if input.undo { "; it can take back what it did" } else { "" };
        let summary = format!("Runs the program {:?}{back}.", input.program);
        Plan::new(summary).unless(told(ctx, &input, "run", None, "1"))
    }
}

/// The call, as the program reads it on its standard input.
fn told(
    ctx: &Context,
    input: &Input,
    call: &str,
    output: Option<&Value>,
    record: &str,
) -> Result<Program, Stop> {
    let mut words = json!({
        "call": call,
        "run": ctx.run,
        "step": ctx.step,
        "attempt": ctx.attempt,
        "idempotency_key": ctx.idempotency_key(),
        "caller": {"id": ctx.caller.id, "role": ctx.caller.role},
        "input": input.input,
    });
    if let Some(output) = output {
        words["output"] = output.clone();
    }
    let timeout = Duration::from_secs(input.timeout_s.into());
    prepared(ctx, &input.program, &input.args, Some(format!("{words}\n").into_bytes()), record, timeout)
}
