//! `flow-manager check`: the settings in force, and whether each part works.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use crate::app::check::{Part, State, parts};
use crate::config::{Config, Setting};

#[derive(Args, Debug)]
pub struct Check {
    /// One JSON object: settings and parts
    #[arg(long)]
    json: bool,
}

pub fn run(config: &Config, asked: &Check) -> ExitCode {
    let parts = parts(config);
    let failed = parts.iter().filter(|part| matches!(part.state, State::Failed(_))).count();
    let report = match asked.json {
        true => format!("{}\n", object(config.masked(), &parts)),
        false => format!("{}\n{}", settings(config.masked()), states(&parts)),
    };
    // A reader that has seen enough, such as `head`, is no failure of the check.
    let _ = std::io::stdout().write_all(report.as_bytes());
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn settings(settings: &[Setting]) -> String {
    let mut text = String::from("Settings\n");
    let lines: Vec<_> = settings
        .iter()
        .map(|setting| (format!("{} = {}", setting.name, setting.value), &setting.origin))
        .collect();
    let width = lines.iter().map(|(line, _)| line.chars().count()).max().unwrap_or(0).min(60);
    for (line, origin) in lines {
        match origin.as_str() {
            "default" => writeln!(text, "  {line}"),
            origin => writeln!(text, "  {line:width$}  from {origin}"),
        }
        .expect("writing to a string cannot fail");
    }
    text
}

fn object(settings: &[Setting], parts: &[Part]) -> Value {
    let setting =
        |Setting { name, value, origin }: &Setting| json!({"name": name, "value": value, "origin": origin});
    let part = |part: &Part| {
        let (word, detail) = said(&part.state);
        json!({"name": part.name, "state": word.to_lowercase(), "detail": detail})
    };
    let settings: Vec<Value> = settings.iter().map(setting).collect();
    json!({"settings": settings, "parts": parts.iter().map(part).collect::<Vec<_>>()})
}

fn said(state: &State) -> (&'static str, &str) {
    match state {
        State::Works(detail) => ("ok", detail),
        State::Absent(detail) => ("none", detail),
        State::Failed(detail) => ("FAILED", detail),
    }
}

fn states(parts: &[Part]) -> String {
    let mut text = String::from("Parts\n");
    for part in parts {
        let (word, detail) = said(&part.state);
        writeln!(text, "  {:10} {word:6} {detail}", part.name).expect("writing to a string cannot fail");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_reads_the_same_as_people() {
        let part = Part { name: "database", state: State::Failed("away".into()) };
        let setting = Setting { name: "server.port".into(), value: "1".into(), origin: "default".into() };
        let told = object(&[setting], &[part]);
        assert_eq!(told["parts"][0], json!({"name": "database", "state": "failed", "detail": "away"}));
        assert_eq!(told["settings"][0]["value"], "1");
    }

    #[test]
    fn a_setting_that_someone_set_says_where() {
        let setting = |name: &str, origin: &str| Setting {
            name: name.into(),
            value: "1".into(),
            origin: origin.into(),
        };
        let text =
            settings(&[setting("server.port", "FLOW_SERVER_PORT"), setting("server.workers", "default")]);
        assert_eq!(text, "Settings\n  server.port = 1     from FLOW_SERVER_PORT\n  server.workers = 1\n");
    }
}
