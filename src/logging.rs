//! The log: one line an event on standard error, as text or as JSON.

use std::io::{self, Write};

use env_logger::{Builder, Target, WriteStyle};
use jiff::Timestamp;
use log::{Level, LevelFilter, Log, Metadata, Record};
use serde_json::json;

use crate::config::{self, LogFormat};
use crate::driver::http::worth_logging;

/// Our own crates. All else is shown from error on, whatever the level: below that, libraries print request bodies,
/// headers and statements, passwords and tokens included.
const OURS: [&str; 3] = ["flow_manager", "flow_domain", "flow_tasks"];

/// Sets up the process's log. A second call changes nothing.
pub fn start(settings: &config::Log) {
    let format = settings.format;
    let mut builder = Builder::new();
    builder.target(Target::Stderr).write_style(WriteStyle::Never).filter_level(LevelFilter::Error);
    for name in OURS {
        builder.filter_module(name, settings.level);
    }
    builder.format(move |out, record| write_line(out, format, Timestamp::now(), record));
    // Tests in one process share the first one's log.
    if log::set_boxed_logger(Box::new(Quiet(builder.build()))).is_ok() {
        log::set_max_level(settings.level.max(LevelFilter::Error));
    }
}

/// Keeps back what no level may show, even from our own modules.
struct Quiet(env_logger::Logger);

impl Log for Quiet {
    fn enabled(&self, metadata: &Metadata) -> bool {
        worth_logging(metadata) && self.0.enabled(metadata)
    }

    fn log(&self, record: &Record) {
        if worth_logging(record.metadata()) {
            self.0.log(record);
        }
    }

    fn flush(&self) {
        self.0.flush();
    }
}

fn write_line(out: &mut dyn Write, format: LogFormat, now: Timestamp, record: &Record) -> io::Result<()> {
    match format {
        LogFormat::Json => {
            let line = json!({
                "time": format!("{now:.3}"),
                "level": record.level().as_str().to_lowercase(),
                "target": record.target(),
                "message": record.args().to_string(),
            });
            writeln!(out, "{line}")
        }
        LogFormat::Text => {
            let level = match record.level() {
                Level::Error => "ERROR",
                Level::Warn => "WARN ",
                Level::Info => "INFO ",
                Level::Debug => "DEBUG",
                Level::Trace => "TRACE",
            };
            writeln!(out, "{now:.3} {level} {}: {}", record.target(), one_line(&record.args().to_string()))
        }
    }
}

/// A message that holds a caller's text must not be able to forge a second line, or to drive a terminal.
fn one_line(message: &str) -> String {
    let mut line = String::with_capacity(message.len());
    for letter in message.chars() {
        if letter.is_control() { line.extend(letter.escape_default()) } else { line.push(letter) }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(format: LogFormat, message: &str) -> String {
        let now = "2026-01-02T03:04:05.678901Z".parse().unwrap();
        let mut out = Vec::new();
        let record = |out: &mut Vec<u8>, args: std::fmt::Arguments| {
            let record = Record::builder().level(Level::Info).target("flow_manager::app").args(args).build();
            write_line(out, format, now, &record).unwrap();
        };
        record(&mut out, format_args!("{message}"));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_is_one_line_even_when_the_message_is_not() {
        assert_eq!(
            line(LogFormat::Text, "run \"a\"\nERROR forged\u{1b}[2J é"),
            "2026-01-02T03:04:05.678Z INFO  flow_manager::app: run \"a\"\\nERROR forged\\u{1b}[2J é\n"
        );
    }

    #[test]
    fn json_is_one_object_a_line() {
        let line = line(LogFormat::Json, "two\nlines");
        let value: serde_json::Value = serde_json::from_str(line.strip_suffix('\n').unwrap()).unwrap();
        assert_eq!((line.lines().count(), value["message"].as_str()), (1, Some("two\nlines")));
        assert_eq!(
            (value["level"].as_str(), value["time"].as_str()),
            (Some("info"), Some("2026-01-02T03:04:05.678Z"))
        );
    }
}
