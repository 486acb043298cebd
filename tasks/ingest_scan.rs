//! `ingest_scan`: finds a dataset's new files, looks them through and publishes their chunks.

use std::time::Duration;

use async_trait::async_trait;
use flow_domain::flows::{Context, Plan, Policy, Stop, TypedTask};
use flow_domain::ingest::BadRows;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub struct IngestScan;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Its name among config/datasets.
    dataset: String,
    /// Instead of what the dataset says: `reject_file` or `skip_rows`.
    bad_rows: Option<BadRows>,
}

#[derive(Serialize, JsonSchema)]
pub struct Output {
    /// As in the input.
    dataset: String,
    /// Files that are there.
    files: u64,
    /// Those of them that were new or had changed, and that nobody else took meanwhile.
    new: u64,
    /// Those that changed or went away while they were read; the next scan finds them.
    unsteady: u64,
}

#[async_trait]
impl TypedTask for IngestScan {
    const NAME: &'static str = "ingest_scan";
    const DESCRIPTION: &'static str =
        "Looks a dataset's new files through and has their rows loaded, once however often it runs.";
    type Input = Input;
    type Output = Output;

    /// A store of files that is away is waited for for some quarter of an hour. What was registered stays, so each
    /// attempt begins with the file at which the one before ended.
    fn policy(&self) -> Policy {
        Policy { timeout: Duration::from_secs(3600), attempts: 20, ..Policy::default() }
    }

    async fn run(&self, ctx: &Context, input: Input) -> Result<Output, Stop> {
        let heard = |done: usize, all: usize| {
            // `done` of `all` is below one hundred percent.
            ctx.progress(
                (done * 100 / all.max(1)) as u8,
                &format!("looking through file {} of {all}", done + 1),
            );
        };
        let ingest = &ctx.ports.ingest;
        let found = ingest.scan(ctx.run, &input.dataset, input.bad_rows, &ctx.cancel, &heard).await?;
        Ok(Output { dataset: input.dataset, files: found.files, new: found.new, unsteady: found.unsteady })
    }

    async fn plan(&self, ctx: &Context, input: Input) -> Plan {
        let known = ctx.ports.ingest.dataset(&input.dataset).map_err(Stop::from);
        Plan::new(format!("Looks for new files of the dataset {:?}.", input.dataset)).unless(known)
    }
}
