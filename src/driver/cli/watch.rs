//! `flow-manager watch`: shows what a run does until it is over.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde_json::Value;
use tokio::sync::{mpsc, watch};

use super::client::{Trouble, client, run_path, signed_in};
use super::complain;
use super::remote::{News, SignIn, follow};

#[derive(Args, Debug)]
pub struct Watch {
    /// The run's id
    run: String,
    /// One event a line as JSON, as the service's stream has it
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    sign_in: SignIn,
}

pub fn run(watch: &Watch) -> ExitCode {
    client(follow_run(watch))
}

async fn follow_run(watch: &Watch) -> Result<ExitCode, Trouble> {
    let path = run_path(&watch.run)?;
    let remote = signed_in(&watch.sign_in).await?;
    let (tell, mut news) = mpsc::channel(64);
    let (_stay, staying) = watch::channel(true);
    tokio::spawn(follow(Arc::new(remote), format!("{path}/events"), 0, tell, staying));
    let mut last = String::new();
    while let Some(news) = news.recv().await {
        match news {
            News::Event(event) if event.kind == "end" => break,
            News::Event(event) if event.id.is_some() => {
                let shown: Value = serde_json::from_str(&event.data).unwrap_or_default();
                last = event.kind;
                // Whoever reads has seen enough.
                let told = if watch.json { shown.to_string() } else { line(&last, &shown) };
                if writeln!(std::io::stdout(), "{told}").is_err() {
                    break;
                }
            }
            News::Lost(reason) => complain(&format!("reconnecting: {reason}")),
            News::Refused(failure) => return Err(failure.into()),
            News::Event(_) | News::Connected => {}
        }
    }
    Ok(if last == "run.succeeded" { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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
