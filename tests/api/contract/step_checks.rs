use flow_domain::labs::{LabSessions, Look, StepChecks};
use flow_domain::{RunId, SessionId, UserId};
use flow_manager::driven::memory::MemoryStepChecks;
use flow_manager::driven::postgres::{PgLabSessions, PgStepChecks};

use super::{lab, stored_learner};
use crate::harness::TestDb;

#[tokio::test]
async fn memory_keeps_the_contract() {
    suite(&MemoryStepChecks::default(), SessionId::new()).await;
}

#[tokio::test]
async fn postgres_keeps_the_contract() {
    let db = TestDb::new().await;
    db.warm().await;
    let learner: UserId = stored_learner(&db).await;
    let session = PgLabSessions::new(db.pool.clone()).open(learner, &lab("steps")).await.unwrap();
    suite(&PgStepChecks::new(db.pool.clone()), session.id).await;
}

async fn suite(checks: &dyn StepChecks, session: SessionId) {
    assert_eq!(checks.of_session(session).await.unwrap(), []);
    let look = |step, passed, message: &str| Look {
        session,
        step,
        passed,
        message: Some(message.to_owned()),
        run: RunId::new(),
    };
    let first = look(2, false, "not yet");
    // The same run's look is one, however often it is told.
    checks.keep(&first).await.unwrap();
    checks.keep(&first).await.unwrap();
    checks.keep(&look(1, true, "well")).await.unwrap();
    checks.keep(&look(2, true, "now")).await.unwrap();
    let passed_at = checks.of_session(session).await.unwrap()[1].passed_at;
    assert!(passed_at.is_some());
    // What was done stays done, and what the last look found is told.
    checks.keep(&look(2, false, "gone again")).await.unwrap();
    let states = checks.of_session(session).await.unwrap();
    let brief: Vec<_> = states.iter().map(|it| (it.step, it.passed, it.checks)).collect();
    assert_eq!(brief, [(1, true, 1), (2, false, 3)]);
    assert_eq!((states[1].passed_at, states[1].message.as_deref()), (passed_at, Some("gone again")));
    assert_eq!(checks.of_session(SessionId::new()).await.unwrap(), []);
}
