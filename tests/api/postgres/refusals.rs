use flow_domain::labs::LabSessions;
use flow_domain::{Error, Kind, SessionId, UserId};
use flow_manager::driven::postgres::PgLabSessions;

use crate::harness::TestDb;

const SECRET: &str = "ada@example.org";

fn hides_values(error: &Error) {
    let said = format!("{error} {error:?}");
    assert!(!said.contains(SECRET), "{said}");
    for word in ["insert", "select", "app_user"] {
        assert!(!error.public.contains(word), "{}", error.public);
    }
}

#[tokio::test]
async fn a_named_constraint_is_a_clear_conflict_that_repeats_no_value() {
    let db = TestDb::new().await;
    const ADD: &str = "insert into app_user (id, email, email_key, role) values ($1, $2, $2, 'learner')";
    db.pool.execute(ADD, &[&UserId::new().0, &SECRET]).await.unwrap();
    let refusal = db.pool.execute(ADD, &[&UserId::new().0, &SECRET]).await.unwrap_err();
    assert_eq!((refusal.kind, refusal.code), (Kind::Conflict, "user.email_taken"));
    hides_values(&refusal);
}

#[tokio::test]
async fn a_constraint_nobody_can_run_into_is_our_fault() {
    let db = TestDb::new().await;
    const ADD: &str = "insert into app_user (id, email, role) values ($1, $2, 'learner')";
    let refusal = db.pool.execute(ADD, &[&UserId::new().0, &SECRET]).await.unwrap_err();
    assert_eq!(refusal.kind, Kind::Internal);
    assert!(refusal.cause.as_deref().unwrap().contains("app_user_email_check"));
    hides_values(&refusal);
}

#[tokio::test]
async fn a_data_error_repeats_no_value_even_in_its_cause() {
    let db = TestDb::empty().await;
    let refusal = db.pool.query("select ($1::text)::integer", &[&SECRET]).await.unwrap_err();
    assert_eq!(refusal.kind, Kind::Internal);
    assert!(refusal.cause.as_deref().unwrap().contains("22P02"));
    hides_values(&refusal);
}

#[tokio::test]
async fn a_parameter_of_the_wrong_type_is_our_fault_and_no_outage() {
    let db = TestDb::empty().await;
    let refusal = db.pool.query("select $1::integer", &[&SECRET]).await.unwrap_err();
    assert_eq!(refusal.kind, Kind::Internal);
    hides_values(&refusal);
}

#[tokio::test]
async fn a_session_of_a_user_without_an_account_is_refused() {
    let db = TestDb::new().await;
    let sessions = PgLabSessions::new(db.pool.clone());
    let refusal = sessions.open(UserId::new(), &crate::contract::lab("any")).await.unwrap_err();
    assert_eq!((refusal.kind, refusal.code), (Kind::Conflict, "user.unknown"));
}

#[tokio::test]
async fn grades_cannot_be_changed_by_any_statement() {
    let db = TestDb::new().await;
    for statement in ["update grade set score = 0", "delete from grade where false", "truncate grade"] {
        let refusal = db.pool.execute(statement, &[]).await.unwrap_err();
        assert_eq!((refusal.kind, refusal.code), (Kind::Conflict, "grade.final"), "{statement}");
    }
}

#[tokio::test]
async fn a_status_and_an_end_that_disagree_cannot_be_stored() {
    let db = TestDb::new().await;
    let learner = crate::contract::stored_learner(&db).await;
    const ADD: &str = "insert into session (id, user_id, lab, lab_version, status, ended_at)
        values ($1, $2, 'lab', 'version', $3, case when $4::boolean then now() end)";
    let add = async |status: &str, ended: bool| {
        db.pool
            .execute(ADD, &[&SessionId::new().0, &learner.0, &status, &ended])
            .await
            .map_err(|error| error.code)
    };
    assert_eq!(add("finished", false).await, Err("session.ended"));
    assert_eq!(add("ready", true).await, Err("session.ended"));
    assert_eq!(add("asleep", false).await, Err("internal"));
    assert_eq!(add("ready", false).await, Ok(1));
    assert_eq!(add("dirty", false).await, Err("session.live"));
    assert_eq!(add("expired", true).await, Ok(1));
}
