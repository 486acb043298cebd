//! `flow-manager lab`: labs as their authors see them.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use flow_domain::labs::Lab;
use serde_json::{Value, json};

use super::complain;
use crate::app::lab::{Checked, check, lacks_machines, list};
use crate::config::Config;

#[derive(Args, Debug)]
pub struct LabCommand {
    /// JSON: of `check` one object, of `list` one a line
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List every fault of a lab's folder, with file and key; with terraform there, what it finds as well
    Check { dir: PathBuf },
    /// List the labs of the configuration
    List,
}

pub fn run(config: &Config, LabCommand { json, what }: LabCommand) -> ExitCode {
    match what {
        What::Check { dir } => {
            let checked = check(config, &dir);
            say(&if json { format!("{}\n", report(&checked)) } else { told(&checked) });
            if checked.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        What::List => match list(config) {
            Ok(labs) => {
                say(&if json {
                    labs.iter().map(|lab| format!("{}\n", card(lab))).collect()
                } else {
                    table(&labs, |lab| lacks_machines(config, lab))
                });
                ExitCode::SUCCESS
            }
            Err(faults) => {
                faults.lines().for_each(|fault| complain(&fault));
                ExitCode::FAILURE
            }
        },
    }
}

/// A reader that has seen enough, such as `head`, is no failure.
fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn told(checked: &Checked) -> String {
    let mut text = String::new();
    let mut line = |line: &str| writeln!(text, "{line}").expect("writing to a string cannot fail");
    checked.faults.iter().for_each(|fault| line(fault));
    checked.notes.iter().for_each(|note| line(note));
    match (&checked.lab, checked.faults.len()) {
        (Some(lab), 0) => line(&format!("{} is in order, version {}.", lab.name, brief(lab))),
        (_, 1) => line("1 fault."),
        (_, faults) => line(&format!("{faults} faults.")),
    }
    text
}

fn report(checked: &Checked) -> Value {
    json!({"lab": checked.lab.as_ref().map(card), "faults": checked.faults, "notes": checked.notes})
}

fn card(lab: &Lab) -> Value {
    let Lab { name, version, minutes, difficulty, title, .. } = lab;
    json!({"name": name, "version": version, "minutes": minutes, "difficulty": difficulty, "title": title})
}

fn table(labs: &[Lab], lacks_machines: impl Fn(&Lab) -> bool) -> String {
    let width = labs.iter().map(|lab| lab.name.len()).max().unwrap_or_default();
    let line = |lab: &Lab| {
        let difficulty = serde_json::to_value(lab.difficulty).unwrap_or_default();
        let difficulty = difficulty.as_str().unwrap_or_default();
        format!(
            "{:width$}  {}  {:3} min  {difficulty:12}  {}{}\n",
            lab.name,
            brief(lab),
            lab.minutes,
            lab.title,
            if lacks_machines(lab) { " (needs proxmox.url)" } else { "" }
        )
    };
    labs.iter().map(line).collect()
}

/// Enough of a version to tell two of one lab apart.
fn brief(lab: &Lab) -> &str {
    lab.version.get(..12).unwrap_or(&lab.version)
}
