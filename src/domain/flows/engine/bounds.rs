//! How much of what a task says is kept.

use jiff::Timestamp;
use serde_json::Value;

use crate::flows::outcome::Reason;
use crate::flows::run::{Failure, Run};

/// The largest output a task may return, as JSON, in bytes.
const MOST_OUTPUT_BYTES: usize = 1 << 20;
/// Bytes of one line, and of a progress message.
const MOST_LINE_BYTES: usize = 4 << 10;
/// Bytes of what went wrong.
const MOST_REASON_BYTES: usize = 16 << 10;

/// The step is done, unless what it gives is too large to be kept.
pub(super) fn conclude(run: &mut Run, position: usize, output: Value, now: Timestamp) {
    if fits(&output) {
        return run.succeed_step(position, output, now);
    }
    let reason = Reason::new("task.output_too_large", "the task's output is over 1 MiB");
    run.fail_step(position, Failure::new(reason), now);
}

/// A line as it may be stored.
pub(super) fn line(line: &str) -> String {
    cut(line, MOST_LINE_BYTES)
}

/// A reason as it may be stored.
pub(super) fn clean(reason: Reason) -> Reason {
    Reason { code: cut(&reason.code, MOST_LINE_BYTES), detail: cut(&reason.detail, MOST_REASON_BYTES) }
}

/// Without NUL, which PostgreSQL has no room for, and not too long.
fn cut(text: &str, most_bytes: usize) -> String {
    text[..text.floor_char_boundary(most_bytes)].replace('\0', "\u{fffd}")
}

/// Whether an output is small enough to be stored, without building its text.
fn fits(output: &Value) -> bool {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            if self.0 > MOST_OUTPUT_BYTES {
                Err(std::io::ErrorKind::FileTooLarge.into())
            } else {
                Ok(bytes.len())
            }
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    serde_json::to_writer(Count(0), output).is_ok()
}
