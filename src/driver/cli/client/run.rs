//! `flow-manager run`: starts a flow and stays until it is over.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use super::{Trouble, client, flow_given, input_given, signed_in};
use crate::driver::cli::complain;
use crate::driver::cli::remote::{Event, News, Remote, SignIn, follow};
use crate::driver::cli::terminal::{Bar, plain, status};
use crate::driver::cli::watch::line;

/// A run of many short steps is not asked after each.
const LOOK_EVERY: Duration = Duration::from_millis(250);

const AFTER_HELP: &str = "\
A flow that is not watched shows a bar on a terminal, and then one line: its id, its status, and what went wrong.

  flow-manager run hello --input '{\"name\":\"Ada\"}' --watch
  flow-manager run @flow.json --input @input.json --json | jq .tasks
  flow-manager run data-report --detach       # prints the run's id, for `watch`, `why` and `cancel`

Exit status: 0 the run succeeded, 1 it ended otherwise or was refused, 2 wrong arguments, 3 no service answers.";

#[derive(Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct RunFlow {
    /// The flow's name, or its definition as @FILE; @- reads standard input
    flow: String,
    /// The input as JSON, or as @FILE
    #[arg(long, value_name = "JSON", default_value = "{}")]
    input: String,
    /// Show each event as it comes
    #[arg(long, conflicts_with_all = ["detach", "json"])]
    watch: bool,
    /// Print the run's id and do not wait
    #[arg(long)]
    detach: bool,
    /// Print the whole run as JSON when it is over
    #[arg(long)]
    json: bool,
    /// An idempotency key: the same command again gives the same run
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    #[command(flatten)]
    sign_in: SignIn,
}

pub fn run(asked: &RunFlow) -> ExitCode {
    client(start(asked))
}

async fn start(asked: &RunFlow) -> Result<ExitCode, Trouble> {
    let body = json!({"flow": flow_given(&asked.flow)?, "input": input_given(&asked.input)?});
    let remote = Arc::new(signed_in(&asked.sign_in).await?);
    let mut headers = vec![("Prefer", "respond-async")];
    headers.extend(asked.key.as_deref().map(|key| ("Idempotency-Key", key)));
    let begun = remote.call_with(Method::POST, "/flow-manager", Some(&body), &headers).await?;
    let id = begun["id"].as_str().unwrap_or_default().to_owned();
    if asked.detach {
        say(&if asked.json { begun.to_string() } else { id });
        return Ok(ExitCode::SUCCESS);
    }
    let path = format!("/flow-manager/runs/{id}");
    stay(remote.clone(), &path, asked.watch).await?;
    let ended = remote.call(Method::GET, &path, None).await?;
    if asked.json {
        say(&ended.to_string());
    } else {
        say(&summary(&ended));
    }
    Ok(if ended["status"] == "succeeded" { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Until the run is over, through lost connections.
async fn stay(remote: Arc<Remote>, path: &str, aloud: bool) -> Result<(), Trouble> {
    let (tell, mut news) = mpsc::channel(64);
    let (_stay, staying) = watch::channel(true);
    tokio::spawn(follow(remote.clone(), format!("{path}/events"), 0, tell, staying));
    let mut bar = Bar::default();
    let mut meter = Meter::default();
    while let Some(news) = news.recv().await {
        match news {
            News::Event(event) if event.kind == "end" => break,
            News::Event(event) if event.id.is_some() && aloud => tell_of(&event),
            News::Event(event) if event.id.is_some() => {
                meter.take(&event);
                meter.look(&remote, path).await;
                bar.show(meter.percent, &meter.doing);
            }
            News::Lost(reason) => {
                bar.clear();
                complain(&format!("reconnecting: {reason}"));
            }
            News::Refused(failure) => {
                bar.clear();
                return Err(failure.into());
            }
            News::Event(_) | News::Connected => {}
        }
    }
    bar.clear();
    Ok(())
}

fn tell_of(event: &Event) {
    let shown: Value = serde_json::from_str(&event.data).unwrap_or_default();
    say(&line(&event.kind, &shown).replacen(&event.kind, &status(&event.kind), 1));
}

/// How far a run is: events tell what goes on, and the run itself its percent, which weighs its steps.
#[derive(Default)]
struct Meter {
    percent: u64,
    doing: String,
    looked: Option<Instant>,
}

impl Meter {
    fn take(&mut self, event: &Event) {
        let shown: Value = serde_json::from_str(&event.data).unwrap_or_default();
        if let Some(step) = shown["step"].as_str() {
            self.doing = match shown["data"]["message"].as_str() {
                Some(message) => format!("{step}: {message}"),
                None => step.to_owned(),
            };
        }
    }

    async fn look(&mut self, remote: &Remote, path: &str) {
        if self.looked.is_some_and(|at| at.elapsed() < LOOK_EVERY) {
            return;
        }
        if let Ok(run) = remote.call(Method::GET, path, None).await {
            self.percent = run["percent"].as_u64().unwrap_or(self.percent);
        }
        self.looked = Some(Instant::now());
    }
}

fn summary(run: &Value) -> String {
    let text = |value: &Value| value.as_str().map(plain).unwrap_or_default();
    let mut line = format!("{} {}", text(&run["id"]), status(run["status"].as_str().unwrap_or("?")));
    if let Some(step) = run["error"]["step"].as_str() {
        line += &format!(" at {}", plain(step));
    }
    if !run["error"].is_null() {
        line += &format!(" {}: {}", text(&run["error"]["code"]), text(&run["error"]["detail"]));
    }
    line
}

/// A reader that has seen enough is no failure.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
