//! `ingest_load`: loads one chunk of a file that `ingest_scan` found.

use std::time::Duration;

use async_trait::async_trait;
use flow_domain::flows::{Context, Policy, Stop, TypedTask};
use flow_domain::ingest::ChunkRef;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub struct IngestLoad;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// As its message says.
    file: i64,
    /// From 0.
    chunk: i32,
}

#[derive(Serialize, JsonSchema)]
pub struct Output {
    /// False: they were in already, or a newer version of the file is there.
    loaded: bool,
    /// Rows that fit.
    rows: u64,
    /// Those that were new or another than before.
    changed: u64,
    /// Rows that did not fit and were kept aside.
    skipped: u64,
}

#[async_trait]
impl TypedTask for IngestLoad {
    const NAME: &'static str = "ingest_load";
    const DESCRIPTION: &'static str = "Loads one chunk of a file, once however often it runs.";
    type Input = Input;
    type Output = Output;

    /// A store of files that is away is waited for for some quarter of an hour.
    fn policy(&self) -> Policy {
        Policy { timeout: Duration::from_secs(300), attempts: 20, ..Policy::default() }
    }

    async fn run(&self, ctx: &Context, input: Input) -> Result<Output, Stop> {
        let chunk = ChunkRef { file: input.file, number: input.chunk };
        let loaded = ctx.ports.ingest.load(ctx.run, chunk).await?;
        let counted = loaded.unwrap_or_default();
        Ok(Output {
            loaded: loaded.is_some(),
            rows: counted.rows,
            changed: counted.changed,
            skipped: counted.skipped,
        })
    }
}
