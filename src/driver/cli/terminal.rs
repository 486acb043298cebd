//! Colours and a bar, where somebody looks: a pipe, a file and `NO_COLOR` get neither.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use crate::app::backup::{Progress, Tell, Unit};

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

impl Drop for Bar {
    fn drop(&mut self) {
        self.clear();
    }
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

/// A bar on a terminal, which goes away with the value; elsewhere a line for each part of the work.
pub(super) fn telling() -> Tell {
    let shown = Mutex::new((Bar::default(), ""));
    Arc::new(move |progress: Progress| {
        let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
        let (bar, last) = &mut *shown;
        if io::stderr().is_terminal() {
            bar.show(percent(&progress), &words(&progress));
        } else if *last != progress.doing {
            eprintln!("{}", progress.doing);
        }
        *last = progress.doing;
    })
}

fn percent(progress: &Progress) -> u64 {
    progress.done.min(progress.total) * 100 / progress.total.max(1)
}

fn words(Progress { doing, done, total, of }: &Progress) -> String {
    match of {
        Unit::Tables => format!("{doing}: {done} of {total} tables"),
        Unit::Bytes => format!("{doing}: {:.1} of {:.1} MB", *done as f64 / 1e6, *total as f64 / 1e6),
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
    fn a_part_of_unknown_length_is_at_its_beginning() {
        let progress = |done, total| Progress { doing: "packing", done, total, of: Unit::Bytes };
        assert_eq!(percent(&progress(5, 0)), 0);
        assert_eq!(percent(&progress(7, 5)), 100);
        assert_eq!(words(&progress(1_500_000, 3_000_000)), "packing: 1.5 of 3.0 MB");
    }

    #[test]
    fn there_is_no_colour_where_nobody_looks() {
        assert_eq!(status("run.succeeded"), "run.succeeded");
    }
}
