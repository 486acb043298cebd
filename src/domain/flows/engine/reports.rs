//! What a running task reports, on its way to being durable; bounded, whatever the task does.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::bounds::line;
use super::{Engine, Halt};
use crate::clock;
use crate::flows::context::Reporter;
use crate::flows::run::Run;
use crate::flows::secret::Given;

/// Progress and output are written at most this often.
const REPORT_EVERY: Duration = Duration::from_millis(250);
/// Lines kept between two writes; a task that writes more is told of in one line.
const MOST_LINES: usize = 500;
/// Bytes of lines kept of one attempt.
const MOST_OUTPUT_BYTES: usize = 4 << 20;

impl Engine {
    /// Makes what was reported since the last time durable.
    pub(super) async fn report(&self, run: &mut Run, position: usize, reports: &Reports) -> Result<(), Halt> {
        let Batch { progress, lines } = reports.take();
        if progress.is_none() && lines.is_empty() {
            return Ok(());
        }
        let now = clock::now();
        if !lines.is_empty() {
            run.report_output(position, &lines, now);
        }
        if let Some((percent, message)) = progress {
            run.report_progress(position, percent, &message, now);
        }
        self.save(run, None).await
    }
}

/// What a task reported and is not durable yet; bounded, whatever the task does.
#[derive(Default)]
pub(super) struct Reports {
    given: Given,
    held: Mutex<Held>,
    some: Notify,
}

#[derive(Default)]
struct Held {
    progress: Option<(u8, String)>,
    highest: u8,
    lines: VecDeque<String>,
    left_out: usize,
    bytes: usize,
}

struct Batch {
    progress: Option<(u8, String)>,
    lines: Vec<String>,
}

impl Reports {
    /// What is reported is scrubbed of these first.
    pub(super) fn scrubbed_of(given: Given) -> Self {
        Self { given, ..Self::default() }
    }

    /// Ready a moment after something was reported, so that a burst is one write.
    pub(super) async fn due(&self) {
        self.some.notified().await;
        tokio::time::sleep(REPORT_EVERY).await;
    }

    fn take(&self) -> Batch {
        let mut held = self.lock();
        let mut lines: Vec<String> = held.lines.drain(..).collect();
        if held.left_out > 0 {
            lines.push(format!("({} lines left out)", std::mem::take(&mut held.left_out)));
        }
        Batch { progress: held.progress.take(), lines }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reporter for Reports {
    fn masked(&self, text: &str) -> Option<String> {
        let clean = self.given.scrub(text);
        (clean != text).then_some(clean)
    }

    fn progress(&self, percent: u8, message: &str) {
        let mut held = self.lock();
        held.highest = held.highest.max(percent);
        held.progress = Some((held.highest, line(&self.given.scrub(message))));
        self.some.notify_one();
    }

    fn output(&self, text: &str) {
        let mut held = self.lock();
        if held.bytes >= MOST_OUTPUT_BYTES {
            // Told of once, at the end: a flood that never ends writes no more.
            held.left_out += 1;
            return;
        }
        if held.lines.len() >= MOST_LINES {
            held.left_out += 1;
        } else {
            let line = line(&self.given.scrub(text));
            held.bytes += line.len();
            held.lines.push_back(line);
        }
        self.some.notify_one();
    }
}
