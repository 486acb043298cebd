//! `flow-manager runs`, `why`, `cancel` and `plan`: asking about runs and flows.

use std::process::ExitCode;

use clap::Args;
use reqwest::{Method, Url};
use serde_json::{Value, json};

use super::{client, flow_given, input_given, run_path, signed_in};
use crate::driver::cli::print;
use crate::driver::cli::remote::SignIn;
use crate::driver::cli::terminal::{plain, status};

/// Your runs, the newest first; operators see all
#[derive(Args, Debug)]
pub struct Runs {
    /// Only runs of this status, such as failed
    #[arg(long)]
    status: Option<String>,
    /// Only runs of this flow
    #[arg(long)]
    flow: Option<String>,
    /// At most so many, 1 to 200
    #[arg(long, default_value_t = 20)]
    limit: u8,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    sign_in: SignIn,
}

#[derive(Args, Debug)]
pub struct Why {
    /// The run's id
    run: String,
    /// The whole answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    sign_in: SignIn,
}

#[derive(Args, Debug)]
pub struct CancelRun {
    /// The run's id
    run: String,
    /// For operators: no grace, and what a dead machine holds is given up
    #[arg(long)]
    force: bool,
    /// The run as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    sign_in: SignIn,
}

#[derive(Args, Debug)]
pub struct PlanFlow {
    /// The flow's name, or its definition as @FILE; @- reads standard input
    flow: String,
    /// The input as JSON, or as @FILE
    #[arg(long, value_name = "JSON", default_value = "{}")]
    input: String,
    /// The whole plan as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    sign_in: SignIn,
}

pub fn runs(asked: &Runs) -> ExitCode {
    client(async {
        let remote = signed_in(&asked.sign_in).await?;
        let mut query = Url::parse("http://service/flow-manager/runs").expect("it is an address");
        query.query_pairs_mut().append_pair("limit", &asked.limit.to_string());
        for (name, value) in [("status", &asked.status), ("flow", &asked.flow)] {
            if let Some(value) = value {
                query.query_pairs_mut().append_pair(name, value);
            }
        }
        let path = format!("{}?{}", query.path(), query.query().unwrap_or_default());
        let found = remote.call(Method::GET, &path, None).await?;
        let runs = found["data"].as_array().into_iter().flatten();
        print(runs.map(|run| if asked.json { run.to_string() } else { brief(run) }));
        Ok(ExitCode::SUCCESS)
    })
}

pub fn why(asked: &Why) -> ExitCode {
    client(async {
        let path = run_path(&asked.run)?;
        let told = signed_in(&asked.sign_in).await?.call(Method::GET, &format!("{path}/why"), None).await?;
        let mut lines = vec![text(&told["sentence"])];
        lines.extend(told["can_do"].as_array().into_iter().flatten().map(|call| format!("  {}", text(call))));
        print(if asked.json { vec![told.to_string()] } else { lines });
        Ok(ExitCode::SUCCESS)
    })
}

pub fn cancel(asked: &CancelRun) -> ExitCode {
    client(async {
        let path = run_path(&asked.run)?;
        let how = if asked.force { "?force=true" } else { "" };
        let remote = signed_in(&asked.sign_in).await?;
        let run = remote.call(Method::POST, &format!("{path}/cancel{how}"), None).await?;
        print([if asked.json { run.to_string() } else { brief(&run) }]);
        Ok(ExitCode::SUCCESS)
    })
}

/// A plan with faults is none: exit status 1.
pub fn plan(asked: &PlanFlow) -> ExitCode {
    client(async {
        let body = json!({"flow": flow_given(&asked.flow)?, "input": input_given(&asked.input)?});
        let remote = signed_in(&asked.sign_in).await?;
        let plan = remote.call(Method::POST, "/flow-manager?plan=true", Some(&body)).await?;
        let faults = plan["faults"].as_array().map_or(0, Vec::len);
        print(if asked.json { vec![plan.to_string()] } else { planned(&plan) });
        Ok(if faults == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

fn planned(plan: &Value) -> Vec<String> {
    let list = |name: &str| plan[name].as_array().cloned().unwrap_or_default();
    let steps = list("steps").into_iter().map(|step| {
        let undo = if step["undoable"] == true { ", can be undone" } else { "" };
        format!(
            "{} ({}, {}{undo}): {}",
            text(&step["name"]),
            text(&step["task"]),
            text(&step["effect"]),
            text(&step["summary"])
        )
    });
    let faults = list("faults").into_iter().map(|fault| {
        format!("fault {} {}: {}", text(&fault["pointer"]), text(&fault["code"]), text(&fault["detail"]))
    });
    steps.chain(faults).collect()
}

/// Id, status, flow, how far, when.
fn brief(run: &Value) -> String {
    let state = run["status"].as_str().unwrap_or("?");
    // Colours take no room.
    let gap = " ".repeat(12_usize.saturating_sub(state.len()));
    let percent = run["percent"].as_u64().unwrap_or(0);
    let (id, flow, at) = (text(&run["id"]), text(&run["flow"]), text(&run["created_at"]));
    format!("{id} {}{gap} {percent:3} % {at} {flow}", status(state))
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => plain(text),
        Value::Null => String::new(),
        other => plain(&other.to_string()),
    }
}
