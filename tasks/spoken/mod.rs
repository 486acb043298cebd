//! What a program says of its task: lines that begin with `@`. All others are its log.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use flow_domain::flows::{Context, Reason, Stop};
use flow_domain::ports::{Exit, Lines};
use serde_json::Value;

/// Codes go where programs compare them.
const LONGEST_CODE: usize = 100;

/// Whether progress and log are passed on; after a crash they were already.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Aloud {
    Yes,
    No,
}

/// What was said so far; the last word of a kind counts.
#[derive(Default)]
struct Said {
    output: Value,
    stop: Option<Stop>,
    /// The first line that cannot be read.
    fault: Option<String>,
    /// The last line of standard error, for a program that says nothing better.
    last_words: Option<String>,
}

pub struct Spoken<'a> {
    ctx: &'a Context,
    aloud: Aloud,
    said: Mutex<Said>,
}

impl<'a> Spoken<'a> {
    pub fn by(ctx: &'a Context, aloud: Aloud) -> Self {
        Self { ctx, aloud, said: Mutex::default() }
    }

    /// What the program made, or why not. What it said counts, also when it then ended with an exit code; a code
    /// other than 0 without a word is a failure.
    pub fn judge(self, name: &str, timeout_s: u32, exit: &Exit) -> Result<Value, Stop> {
        let said = self.said.into_inner().unwrap_or_else(PoisonError::into_inner);
        if exit.timed_out {
            return Err(Stop::fail("program.timed_out", format!("{name} took longer than {timeout_s} s.")));
        }
        if exit.cancelled {
            return Err(said
                .stop
                .unwrap_or_else(|| Stop::fail("program.stopped", format!("{name} was stopped."))));
        }
        if let Some(fault) = said.fault {
            return Err(Stop::fail(
                "program.line_invalid",
                format!("{name} said what cannot be read: {fault}."),
            ));
        }
        if let Some(stop) = said.stop {
            return Err(stop);
        }
        let end = match exit.code {
            Some(0) => return Ok(said.output),
            Some(code) => format!("{name} ended with exit code {code}"),
            None => format!("{name} was ended by signal {}", exit.signal.unwrap_or_default()),
        };
        let detail = said.last_words.map_or(format!("{end}."), |words| format!("{end}: {words}"));
        Err(Stop::fail("program.failed", detail))
    }

    fn hear(&self, line: &str) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim();
        let heard = match word {
            "@progress" => progress(rest).map(|(percent, message)| {
                if self.aloud == Aloud::Yes {
                    self.ctx.progress(percent, message);
                }
            }),
            "@output" => {
                serde_json::from_str(rest).map(|value| said.output = value).map_err(|error| error.to_string())
            }
            "@fail" => reason(rest).map(|reason| said.stop = Some(Stop::Fail(reason))),
            "@fail_clean" => reason(rest).map(|reason| said.stop = Some(Stop::FailClean(reason))),
            "@retry" => retry(rest).map(|stop| said.stop = Some(stop)),
            _ => Err("there is no such word".to_owned()),
        };
        if let Err(why) = heard {
            said.fault
                .get_or_insert_with(|| format!("{:?}: {why}", word.chars().take(40).collect::<String>()));
        }
    }
}

fn progress(rest: &str) -> Result<(u8, &str), String> {
    let (percent, message) = rest.split_once(' ').unwrap_or((rest, ""));
    match percent.parse::<u8>() {
        Ok(percent @ 0..=100) => Ok((percent, message.trim())),
        _ => Err("a percent is 0 to 100".to_owned()),
    }
}

fn reason(rest: &str) -> Result<Reason, String> {
    let (code, detail) = rest.split_once(' ').unwrap_or((rest, ""));
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if code.is_empty() || code.len() > LONGEST_CODE || !code.chars().all(plain) {
        return Err("a code is 1 to 100 letters, digits, '.', '_' or '-'".to_owned());
    }
    let detail = if detail.trim().is_empty() { "The program said no more." } else { detail.trim() };
    Ok(Reason::new(code, detail))
}

/// `SECONDS CODE TEXT`.
fn retry(rest: &str) -> Result<Stop, String> {
    let (seconds, words) = rest.split_once(' ').unwrap_or((rest, ""));
    let seconds: u32 =
        seconds.parse().map_err(|_| "it begins with whole seconds to wait at least".to_owned())?;
    Ok(Stop::Retry { reason: reason(words)?, after: Some(Duration::from_secs(seconds.into())) })
}

impl Lines for Spoken<'_> {
    fn stdout(&self, line: &str) {
        if line.starts_with('@') {
            self.hear(line);
        } else if self.aloud == Aloud::Yes {
            self.ctx.line(line);
        }
    }

    fn stderr(&self, line: &str) {
        if self.aloud == Aloud::Yes {
            self.ctx.line(line);
        }
        if !line.trim().is_empty() {
            let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
            said.last_words = Some(line.trim().to_owned());
        }
    }

    fn masked(&self, line: &str) -> Option<String> {
        self.ctx.masked(line)
    }
}

#[cfg(test)]
mod tests {
    use flow_domain::testing::TestContext;
    use serde_json::json;

    use super::*;

    fn judged(lines: &[&str], code: i32) -> Result<Value, Stop> {
        let test = TestContext::new();
        let ctx = test.context();
        let spoken = Spoken::by(&ctx, Aloud::Yes);
        lines.iter().for_each(|line| spoken.stdout(line));
        spoken.stderr("last words");
        let (stdout, stderr) = (String::new(), String::new());
        let exit =
            Exit { code: Some(code), signal: None, timed_out: false, cancelled: false, stdout, stderr };
        spoken.judge("it", 5, &exit)
    }

    #[test]
    fn the_last_output_counts_and_other_lines_are_its_log() {
        let said = judged(&["hello", "@progress 40 half way", "@output 1", "@output {\"a\": [1]}"], 0);
        assert_eq!(said, Ok(json!({"a": [1]})));
        assert_eq!(judged(&[], 0), Ok(Value::Null));
    }

    #[test]
    fn a_failure_is_said_or_seen() {
        assert_eq!(judged(&["@fail no.file It is gone."], 0), Err(Stop::fail("no.file", "It is gone.")));
        assert_eq!(judged(&["@fail_clean x"], 3), Err(Stop::fail_clean("x", "The program said no more.")));
        assert_eq!(
            judged(&[], 3),
            Err(Stop::fail("program.failed", "it ended with exit code 3: last words"))
        );
        let after = Some(Duration::from_secs(7));
        let busy = Stop::Retry { reason: Reason::new("busy", "Later."), after };
        assert_eq!(judged(&["@retry 7 busy Later."], 1), Err(busy));
    }

    #[test]
    fn what_cannot_be_read_fails_the_step_and_says_which_word() {
        for line in [
            "@progress 101 x",
            "@progress",
            "@output {",
            "@fail",
            "@fail a/b x",
            "@retry soon x",
            "@bye",
            "@",
        ] {
            let Err(Stop::Fail(reason)) = judged(&[line], 0) else { panic!("{line} was taken") };
            assert_eq!(reason.code, "program.line_invalid");
            assert!(reason.detail.contains(line.split(' ').next().unwrap_or_default()), "{}", reason.detail);
        }
    }
}
