//! `flow-manager watch`: shows what a run does until it is over.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde_json::Value;
use tokio::sync::{mpsc, watch};

use super::complain;
use super::remote::{News, Remote, SignIn, follow};

#[derive(Args, Debug)]
pub struct Watch {
    /// The run's id
    run: String,
    #[command(flatten)]
    sign_in: SignIn,
}

/// How a run ended.
enum Ended {
    Succeeded,
    Otherwise,
}

pub fn run(watch: &Watch) -> ExitCode {
    match super::in_a_small_runtime(follow_run(watch)) {
        Ok(Ended::Succeeded) => ExitCode::SUCCESS,
        Ok(Ended::Otherwise) => ExitCode::FAILURE,
        Err(sentence) => {
            complain(&sentence);
            ExitCode::FAILURE
        }
    }
}

async fn follow_run(watch: &Watch) -> Result<Ended, String> {
    let run = flow_domain::RunId::parse(&watch.run).ok_or_else(|| format!("{} is no run's id", watch.run))?;
    let credentials = watch.sign_in.credentials().map_err(|error| error.to_string())?;
    let remote =
        Remote::sign_in(&watch.sign_in.server, credentials).await.map_err(|error| error.to_string())?;
    let (tell, mut news) = mpsc::channel(64);
    let (_stay, staying) = watch::channel(true);
    tokio::spawn(follow(Arc::new(remote), format!("/flow-manager/runs/{run}/events"), 0, tell, staying));
    let mut last = String::new();
    while let Some(news) = news.recv().await {
        match news {
            News::Event(event) if event.kind == "end" => break,
            News::Event(event) if event.id.is_some() => {
                let shown: Value = serde_json::from_str(&event.data).unwrap_or_default();
                last = event.kind;
                // Whoever reads has seen enough.
                if writeln!(std::io::stdout(), "{}", line(&last, &shown)).is_err() {
                    break;
                }
            }
            News::Lost(reason) => complain(&format!("reconnecting: {reason}")),
            News::Refused(failure) => return Err(failure.to_string()),
            News::Event(_) | News::Connected => {}
        }
    }
    Ok(if last == "run.succeeded" { Ended::Succeeded } else { Ended::Otherwise })
}

/// Time, type, step and what else there is, for people.
pub(super) fn line(kind: &str, event: &Value) -> String {
    let mut line = format!("{} {kind}", event["at"].as_str().unwrap_or("?"));
    if let Some(step) = event["step"].as_str() {
        line += &format!(" {step}");
    }
    match &event["data"] {
        Value::Null => {}
        Value::Object(data) if data.is_empty() => {}
        data => line += &format!(" {data}"),
    }
    line.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}
