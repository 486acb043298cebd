//! Everything that is logged in this test binary, at trace, before any filter.

use std::sync::{Mutex, Once, PoisonError};

use log::{LevelFilter, Log, Metadata, Record};

struct Everything;

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

impl Log for Everything {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let line = format!("{} {} {}", record.level(), record.target(), record.args());
        LINES.lock().unwrap_or_else(PoisonError::into_inner).push(line);
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

/// The lines that hold this text, from whatever test.
pub fn lines_with(text: &str) -> Vec<String> {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    lines.iter().filter(|line| line.contains(text)).cloned().collect()
}
