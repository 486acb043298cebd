//! Passes a grader's words on to the learner as they come.

use std::sync::atomic::{AtomicUsize, Ordering};

use flow_domain::flows::Context;
use flow_domain::ports::Lines;

/// Shown live of a grader that floods; head and tail of it all are kept with the attempt.
const MOST_SHOWN_BYTES: usize = 64 << 10;

pub struct Passing<'a> {
    ctx: &'a Context,
    shown_bytes: AtomicUsize,
}

impl<'a> Passing<'a> {
    pub fn to(ctx: &'a Context) -> Self {
        Self { ctx, shown_bytes: AtomicUsize::new(0) }
    }

    fn pass(&self, line: &str) {
        if is_result(line) {
            return;
        }
        let size = line.len() + 1;
        let before = self.shown_bytes.fetch_add(size, Ordering::Relaxed);
        if before + size <= MOST_SHOWN_BYTES {
            self.ctx.line(line);
        } else if before <= MOST_SHOWN_BYTES {
            self.ctx.line("The grader writes more than is shown here.");
            // No later line fits, however short.
            self.shown_bytes.fetch_add(MOST_SHOWN_BYTES, Ordering::Relaxed);
        }
    }
}

/// A result in a line of output has hidden tests in it.
fn is_result(line: &str) -> bool {
    line.trim_start().starts_with('{') && line.contains("\"score\"")
}

impl Lines for Passing<'_> {
    fn stdout(&self, line: &str) {
        self.pass(line);
    }

    fn stderr(&self, line: &str) {
        self.pass(line);
    }
}

#[cfg(test)]
mod tests {
    use flow_domain::testing::TestContext;

    use super::*;

    #[test]
    fn a_flood_is_cut_once_and_a_result_is_not_shown() {
        let test = TestContext::new();
        let ctx = test.context();
        let passing = Passing::to(&ctx);
        passing.stdout(r#" {"score": 1, "max": 2, "tests": [{"id": "secret"}]}"#);
        for _ in 0..10 {
            passing.stdout(&"x".repeat(10 << 10));
        }
        passing.stderr("short");
        let lines = test.reports.lines();
        assert_eq!(lines.len(), 7, "six of 10 KiB and a word on the rest");
        assert!(lines[6].starts_with("The grader writes more"));
    }
}
