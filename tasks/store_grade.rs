//! `store_grade`: keeps a graded attempt.

use async_trait::async_trait;
use flow_domain::flows::OrStop;
use flow_domain::flows::{Context, Stop, TypedTask};
use flow_domain::labs::{Grade, GradingPolicy, Session};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::grade;
use crate::lab_session::{lab, open};

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
    /// The attempt that counts by the lab's policy, this one or an earlier one.
    counts: Counted,
}

#[derive(Serialize, JsonSchema)]
pub struct Counted {
    /// Which attempt of a session counts in this lab.
    policy: GradingPolicy,
    /// Its number.
    attempt: u32,
    /// Its points.
    score: f64,
    /// The points it could have reached.
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
        let counts = counted(ctx, &input.lab, &session).await?;
        Ok(Output { attempt, score: grade.score, max: grade.max, counts })
    }
}

/// The policy is the lab's of today: a teacher who changes it changes what counts, and no attempt.
async fn counted(ctx: &Context, name: &str, session: &Session) -> Result<Counted, Stop> {
    let policy = lab(ctx, name)?.grading.policy;
    let attempts = ctx.ports.sessions.grades(session.id).await?;
    let index = policy.counts(&attempts).ok_or("the attempt that was just stored is not there");
    let index = index.fatal("grade.not_stored")?;
    let attempt = u32::try_from(index + 1).fatal("grade.not_stored")?;
    let Grade { score, max, .. } = attempts[index];
    Ok(Counted { policy, attempt, score, max })
}
