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
/// After so many writes of one attempt the next come less often: a task that reports for days fills no disk.
const MOST_AT_FULL_PACE: u32 = 1000;
const THEN_EVERY: Duration = Duration::from_secs(5);
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
    /// The progress that was written last.
    told: Option<(u8, String)>,
    writes: u32,
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
        tokio::time::sleep(self.pace()).await;
    }

    fn pace(&self) -> Duration {
        if self.lock().writes < MOST_AT_FULL_PACE { REPORT_EVERY } else { THEN_EVERY }
    }

    fn take(&self) -> Batch {
        let mut held = self.lock();
        let mut lines: Vec<String> = held.lines.drain(..).collect();
        if held.left_out > 0 {
            lines.push(format!("({} lines left out)", std::mem::take(&mut held.left_out)));
        }
        // The same again is no news.
        let progress = held.progress.take().filter(|progress| held.told.as_ref() != Some(progress));
        if progress.is_some() {
            held.told.clone_from(&progress);
        }
        held.writes += u32::from(progress.is_some() || !lines.is_empty());
        Batch { progress, lines }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_progress_is_told_once() {
        let reports = Reports::default();
        let mut told = Vec::new();
        for (percent, message) in [(10, "a"), (10, "a"), (5, "a"), (10, "b"), (20, "b")] {
            reports.progress(percent, message);
            told.extend(reports.take().progress);
        }
        assert_eq!(told, [(10, "a".to_owned()), (10, "b".to_owned()), (20, "b".to_owned())]);
    }

    #[test]
    fn whoever_reports_without_an_end_is_written_less_often() {
        let reports = Reports::default();
        for _ in 0..MOST_AT_FULL_PACE {
            assert_eq!(reports.pace(), REPORT_EVERY);
            reports.output("a line");
            reports.take();
        }
        assert_eq!(reports.pace(), THEN_EVERY);
    }
}
