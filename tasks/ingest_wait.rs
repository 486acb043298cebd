//! `ingest_wait`: waits, without holding a slot, until the chunks that this run's scan published are loaded.

use async_trait::async_trait;
use flow_domain::flows::{Context, Policy, Stop, TypedTask};
use flow_domain::ingest::{Progress, RejectedFile, RowFault};
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub struct IngestWait;

/// Between two looks.
const LOOK_EVERY: SignedDuration = SignedDuration::from_millis(500);
/// Between two looks at what takes longer than a minute.
const LOOK_LATER: SignedDuration = SignedDuration::from_secs(5);
/// So long without a chunk loaded, and nobody loads them.
const STALLED_AFTER: SignedDuration = SignedDuration::from_hours(1);
/// Told of in the output; all are counted.
const TOLD_FILES: i64 = 20;
const TOLD_FAULTS: usize = 5;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {}

#[derive(Serialize, JsonSchema)]
pub struct Output {
    /// Files that this run's scan took or rejected.
    files: u64,
    /// Of which nothing was loaded.
    rejected: u64,
    /// Of which a newer version came meanwhile.
    superseded: u64,
    /// Parts that files were cut into.
    chunks: u64,
    /// Rows in the files that were taken.
    rows_expected: u64,
    /// Those that fit, and are in.
    rows_loaded: u64,
    /// Those of them that were new or another than before.
    rows_changed: u64,
    /// Those that did not fit, and were kept aside.
    rows_skipped: u64,
    /// The first of the rejected files, with the first of what is wrong with each.
    reports: Vec<Report>,
}

#[derive(Serialize, JsonSchema)]
pub struct Report {
    /// Below objects.url.
    path: String,
    /// Rows that do not fit; 0 when the file as a whole does not.
    rows_unfit: u64,
    /// The first five.
    faults: Vec<Fault>,
}

#[derive(Serialize, JsonSchema)]
pub struct Fault {
    /// From 1.
    line: u64,
    /// The header of the column, if it is one column's fault.
    column: Option<String>,
    /// Stable, for programs.
    code: String,
    /// For people.
    detail: String,
}

#[async_trait]
impl TypedTask for IngestWait {
    const NAME: &'static str = "ingest_wait";
    const DESCRIPTION: &'static str = "Waits until what this run's scan found is loaded.";
    type Input = Input;
    type Output = Output;

    fn policy(&self) -> Policy {
        Policy { attempts: 20, ..Policy::default() }
    }

    async fn run(&self, ctx: &Context, _input: Input) -> Result<Output, Stop> {
        let ingest = &ctx.ports.ingest;
        let progress = ingest.progress(ctx.run).await?;
        let ended = progress.chunks_ended();
        ctx.progress(progress.percent(), &format!("{ended} of {} chunks", progress.chunks));
        if ended < progress.chunks {
            return Err(wait(&progress, flow_domain::clock::now()));
        }
        if progress.chunks_failed > 0 {
            let reason = progress.reason.as_deref().unwrap_or("their runs ended");
            let (failed, all) = (progress.chunks_failed, progress.chunks);
            let detail = format!("{failed} of {all} chunks could not be loaded: {reason}");
            return Err(Stop::fail("ingest.incomplete", detail));
        }
        Ok(output(progress, ingest.rejected(ctx.run, TOLD_FILES).await?))
    }
}

fn wait(progress: &Progress, now: Timestamp) -> Stop {
    let still = progress.moved_at.map_or(SignedDuration::ZERO, |moved| now.duration_since(moved));
    if still > STALLED_AFTER {
        let left = progress.chunks - progress.chunks_ended();
        return Stop::fail(
            "ingest.stalled",
            format!("{left} chunks are left, and for an hour none was loaded."),
        );
    }
    let pause = if still > SignedDuration::from_mins(1) { LOOK_LATER } else { LOOK_EVERY };
    Stop::WaitUntil(now + pause)
}

fn output(progress: Progress, rejected: Vec<RejectedFile>) -> Output {
    Output {
        files: progress.files,
        rejected: progress.rejected,
        superseded: progress.superseded,
        chunks: progress.chunks,
        rows_expected: progress.rows_expected,
        rows_loaded: progress.loaded.rows,
        rows_changed: progress.loaded.changed,
        rows_skipped: progress.loaded.skipped,
        reports: rejected.into_iter().map(report).collect(),
    }
}

fn report(file: RejectedFile) -> Report {
    let fault = |RowFault { line, column, code, detail }: RowFault| Fault {
        line,
        column,
        code: code.into_owned(),
        detail,
    };
    Report {
        path: file.path,
        rows_unfit: file.skipped,
        faults: file.faults.into_iter().take(TOLD_FAULTS).map(fault).collect(),
    }
}
