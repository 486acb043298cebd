//! Everything that is logged in this test binary, at trace, before any filter.

use std::sync::{Mutex, Once, PoisonError};

use log::{LevelFilter, Log, Metadata, Record};

use crate::driver::http::worth_logging;

struct Everything;

/// Each with whether the service's own logger would print it.
static LINES: Mutex<Vec<(bool, String)>> = Mutex::new(Vec::new());

impl Log for Everything {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let line = format!("{} {} {}", record.level(), record.target(), record.args());
        LINES.lock().unwrap_or_else(PoisonError::into_inner).push((worth_logging(record.metadata()), line));
    }

    fn flush(&self) {}
}

/// Must come before Rocket is built: it takes the logger's place where there is none.
pub fn catch_everything() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Everything).expect("no other test of this binary sets a logger");
        log::set_max_level(LevelFilter::Trace);
    });
}

/// All lines that hold this text, from whatever test.
pub fn lines_with(text: &str) -> Vec<String> {
    find(text, false)
}

/// Those that the service's logger would print at trace.
pub fn printed_with(text: &str) -> Vec<String> {
    find(text, true)
}

fn find(text: &str, printed: bool) -> Vec<String> {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    let found = lines.iter().filter(|(worth, line)| (*worth || !printed) && line.contains(text));
    found.map(|(_, line)| line.clone()).collect()
}
