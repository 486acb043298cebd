use flow_domain::labs::{Evidence, GradeEvidence, LabSessions};
use flow_domain::{RunId, SessionId};
use flow_manager::driven::memory::MemoryGradeEvidence;
use flow_manager::driven::postgres::{PgGradeEvidence, PgLabSessions};
use serde_json::json;

use super::{code, lab, stored_learner};
use crate::harness::TestDb;

#[tokio::test]
async fn memory_keeps_the_contract() {
    suite(&MemoryGradeEvidence::default(), [SessionId::new(), SessionId::new()]).await;
}

#[tokio::test]
async fn postgres_keeps_the_contract() {
    let db = TestDb::new().await;
    let learner = stored_learner(&db).await;
    let sessions = PgLabSessions::new(db.pool.clone());
    let first = sessions.open(learner, &lab("first")).await.unwrap().id;
    let second = sessions.open(learner, &lab("second")).await.unwrap().id;
    let evidence = PgGradeEvidence::new(db.pool.clone());
    suite(&evidence, [first, second]).await;
    let unknown = evidence.keep(&of(SessionId::new(), "graded")).await;
    assert_eq!(code(unknown), "session.unknown");

    let client = db.pool.client().await.unwrap();
    for change in ["update grade_evidence set outcome = 'graded'", "delete from grade_evidence"] {
        let refused = client.batch_execute(change).await.unwrap_err();
        assert!(refused.as_db_error().unwrap().message().contains("never changed"), "{refused}");
    }
}

fn of(session: SessionId, outcome: &str) -> Evidence {
    Evidence {
        session,
        run: RunId::new(),
        outcome: outcome.into(),
        tests: json!([{"id": "a", "hidden": true}]),
        output: "said\n".into(),
        grader_sha256: "00ff".into(),
        lab_version: "version-1".into(),
        duration_ms: 12,
    }
}

async fn suite(kept: &dyn GradeEvidence, [session, other]: [SessionId; 2]) {
    assert_eq!(kept.of_session(session).await.unwrap(), []);
    let first = of(session, "graded");
    let second = Evidence { run: first.run, ..of(session, "grade.fault") };
    for evidence in [&first, &second, &of(other, "not_gradable")] {
        kept.keep(evidence).await.unwrap();
    }
    assert_eq!(kept.of_session(session).await.unwrap(), [first, second], "all of it, one run's too");
    assert_eq!(kept.of_session(other).await.unwrap().len(), 1);
}
