//! What graders left.

use async_trait::async_trait;
use flow_domain::labs::{Evidence, GradeEvidence};
use flow_domain::{Error, Kind, Result, RunId, SessionId};
use tokio_postgres::Row;

use super::pool::{PgPool, column};

const KEEP: &str = "
    insert into grade_evidence
        (session_id, run_id, outcome, tests, output, grader_sha256, lab_version, duration_ms)
    select id, $2::uuid, $3::text, $4::jsonb, $5::text, $6::text, $7::text, $8::bigint
    from session where id = $1::uuid
    returning number";
const OF_SESSION: &str = "
    select session_id, run_id, outcome, tests, output, grader_sha256, lab_version, duration_ms
    from grade_evidence where session_id = $1::uuid order by number";

#[derive(Clone)]
pub struct PgGradeEvidence {
    pool: PgPool,
}

impl PgGradeEvidence {
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

#[async_trait]
impl GradeEvidence for PgGradeEvidence {
    async fn keep(&self, evidence: &Evidence) -> Result<()> {
        let kept = self
            .pool
            .query_opt(
                KEEP,
                &[
                    &evidence.session.0,
                    &evidence.run.0,
                    &evidence.outcome,
                    &evidence.tests,
                    &evidence.output,
                    &evidence.grader_sha256,
                    &evidence.lab_version,
                    &evidence.duration_ms,
                ],
            )
            .await?;
        let unknown = || Error::new(Kind::NotFound, "session.unknown", "There is no such session.");
        kept.map(drop).ok_or_else(unknown)
    }

    async fn of_session(&self, session: SessionId) -> Result<Vec<Evidence>> {
        self.pool.query(OF_SESSION, &[&session.0]).await?.iter().map(evidence).collect()
    }
}

fn evidence(row: &Row) -> Result<Evidence> {
    Ok(Evidence {
        session: SessionId(column(row, "session_id")?),
        run: RunId(column(row, "run_id")?),
        outcome: column(row, "outcome")?,
        tests: column(row, "tests")?,
        output: column(row, "output")?,
        grader_sha256: column(row, "grader_sha256")?,
        lab_version: column(row, "lab_version")?,
        duration_ms: column(row, "duration_ms")?,
    })
}
