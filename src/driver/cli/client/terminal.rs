//! Colours and a bar, where somebody looks: a pipe, a file and `NO_COLOR` get neither.

use std::io::{self, IsTerminal, Write};

/// Characters between the bar's brackets.
const WIDTH: usize = 24;

/// A run's or a step's status, as it is meant.
pub(super) fn status(word: &str) -> String {
    let bare = word.rsplit('.').next().unwrap_or(word);
    let colour = match bare {
        "succeeded" | "done" => 32,
        "failed" | "undo_failed" | "unknown" => 31,
        "cancelled" | "undone" | "undoing" | "retrying" => 33,
        "running" | "started" => 36,
        _ => return word.to_owned(),
    };
    match io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty()) {
        true => format!("\u{1b}[{colour}m{word}\u{1b}[0m"),
        false => word.to_owned(),
    }
}

/// Text that may hold anything, on one line and harmless.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

/// How far it is, on standard error, redrawn in its place.
#[derive(Default)]
pub(super) struct Bar {
    drawn: bool,
}

impl Bar {
    pub(super) fn show(&mut self, percent: u64, doing: &str) {
        if io::stderr().is_terminal() {
            self.drawn = true;
            let _ = write!(io::stderr(), "\r\u{1b}[K{}", line(percent, doing));
        }
    }

    /// Takes it away.
    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.drawn) {
            let _ = write!(io::stderr(), "\r\u{1b}[K");
        }
    }
}

fn line(percent: u64, doing: &str) -> String {
    let percent = percent.min(100) as usize;
    let full = percent * WIDTH / 100;
    let doing: String = plain(doing).chars().take(48).collect();
    format!("[{}{}] {percent:3} % {doing}", "#".repeat(full), " ".repeat(WIDTH - full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_full_as_it_should_be_and_its_text_is_harmless() {
        assert_eq!(line(50, "apply\n\u{1b}[2J"), "[############            ]  50 % apply\u{fffd}\u{fffd}[2J");
        assert_eq!(line(0, ""), "[                        ]   0 % ");
        assert_eq!(line(1000, "x"), "[########################] 100 % x");
    }

    #[test]
    fn there_is_no_colour_where_nobody_looks() {
        assert_eq!(status("run.succeeded"), "run.succeeded");
    }
}
