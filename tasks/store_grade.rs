//! `store_grade`: keeps a graded attempt.

use async_trait::async_trait;
use flow_domain::flows::OrStop;
use flow_domain::flows::{Context, Stop, TypedTask};
use flow_domain::labs::Grade;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::grade;
use crate::lab_session::open;

pub struct StoreGrade;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The lab's name.
    lab: String,
    /// What the task `grade` returned.
    grade: grade::Output,
}

#[derive(Serialize, JsonSchema)]
pub struct Output {
    /// The attempt's number in its session, from 1.
    attempt: u32,
    /// Points that were reached.
    score: f64,
    /// Points that could be reached.
    max: f64,
}

#[async_trait]
impl TypedTask for StoreGrade {
    const NAME: &'static str = "store_grade";
    const DESCRIPTION: &'static str = "Keeps a grade of the caller's session as an attempt, for good.";
    type Input = Input;
    type Output = Output;

    /// The store keeps one attempt a run, so storing twice stores once.
    async fn run(&self, ctx: &Context, input: Input) -> Result<Output, Stop> {
        // The caller's own session: an attempt is never stored in another's.
        let session = open(ctx, &input.lab, Some(input.grade.session)).await?;
        let graded = input.grade;
        let grade = Grade {
            session: session.id,
            run: ctx.run,
            score: graded.score,
            max: graded.max,
            tests: serde_json::to_value(&graded.tests).fatal_clean("grade.tests_unreadable")?,
            feedback: graded.feedback,
            grader_sha256: graded.grader_sha256,
            lab_version: graded.lab_version,
            duration_ms: graded.duration_ms,
        };
        let attempt = ctx.ports.sessions.add_grade(&grade).await?;
        Ok(Output { attempt, score: grade.score, max: grade.max })
    }
}
