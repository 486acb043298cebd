//! `flow-manager check`: the settings in force, and whether each part works.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use crate::app::check::{Part, State, parts};
use crate::config::{Config, Setting};

pub fn run(config: &Config) -> ExitCode {
    let parts = parts(config);
    let failed = parts.iter().filter(|part| matches!(part.state, State::Failed(_))).count();
    let report = format!("{}\n{}", settings(config.masked()), states(&parts));
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

fn states(parts: &[Part]) -> String {
    let mut text = String::from("Parts\n");
    for part in parts {
        let (word, detail) = match &part.state {
            State::Works(detail) => ("ok", detail),
            State::Absent(detail) => ("none", detail),
            State::Failed(detail) => ("FAILED", detail),
        };
        writeln!(text, "  {:10} {word:6} {detail}", part.name).expect("writing to a string cannot fail");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

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
