use flow_domain::labs::{Grade, Lab, LabSessions, Session, SessionStatus};
use flow_domain::{RunId, SessionId, UserId};
use flow_manager::driven::memory::MemoryLabSessions;
use flow_manager::driven::postgres::PgLabSessions;
use serde_json::json;

use super::{code, lab, session_list, session_time, stored_learner};
use crate::harness::TestDb;

#[tokio::test]
async fn memory_keeps_the_contract() {
    suite(&MemoryLabSessions::default(), [UserId::new(), UserId::new()]).await;
}

#[tokio::test]
async fn postgres_keeps_the_contract() {
    let db = TestDb::new().await;
    db.warm().await;
    let learners = [stored_learner(&db).await, stored_learner(&db).await];
    suite(&PgLabSessions::new(db.pool.clone()), learners).await;
}

async fn suite(sessions: &dyn LabSessions, learners: [UserId; 2]) {
    let [learner, other] = learners;
    a_new_session_is_launching_and_empty(sessions, learner).await;
    opening_again_answers_the_live_one(sessions, learner).await;
    many_at_once_open_one(sessions, learner).await;
    sessions_of_others_and_of_other_labs_are_apart(sessions, learner, other).await;
    outputs_stay_until_others_are_given(sessions, learner).await;
    a_dirty_session_is_still_live(sessions, learner).await;
    a_final_status_ends_a_session_for_good(sessions, learner).await;
    after_the_end_a_new_one_can_be_opened(sessions, learner).await;
    grades_are_numbered_from_one_and_kept_in_order(sessions, learner).await;
    a_run_is_graded_once(sessions, learner).await;
    grades_stored_at_once_get_different_numbers(sessions, learner).await;
    a_score_outside_its_range_is_refused(sessions, learner).await;
    unknown_sessions_are_refused(sessions).await;
    a_session_is_found_by_its_id_and_by_its_user(sessions, other).await;
    of_runs_noted_at_once_all_hear_of_one(sessions, learner).await;
    the_outputs_to_show_are_the_labs_as_it_was(sessions, learner).await;
    a_lab_that_wants_its_learner_alone_waits_for_others(sessions, other).await;
    session_time::suite(sessions, learner).await;
    session_list::suite(sessions, learner, other).await;
}

async fn open(sessions: &dyn LabSessions, user: UserId, name: &str) -> Session {
    sessions.open(user, &lab(name)).await.unwrap()
}

fn grade(session: SessionId) -> Grade {
    Grade {
        session,
        run: RunId::new(),
        score: 7.5,
        max: 10.0,
        tests: json!([{"id": "greeting", "points": 7.5, "max": 10.0, "status": "passed"}]),
        feedback: Some("Well done.".into()),
        grader_sha256: "00ff".into(),
        lab_version: "version-1".into(),
        duration_ms: 1234,
    }
}

async fn a_new_session_is_launching_and_empty(sessions: &dyn LabSessions, learner: UserId) {
    let session = open(sessions, learner, "new").await;
    assert_eq!(
        (session.user, session.lab.as_str(), session.lab_version.as_str()),
        (learner, "new", "version-1")
    );
    assert_eq!((session.status, &session.outputs), (SessionStatus::Launching, &json!({})));
    assert_eq!(session.ended_at, None);
    assert_eq!(sessions.live(learner, "new").await.unwrap(), Some(session));
}

async fn opening_again_answers_the_live_one(sessions: &dyn LabSessions, learner: UserId) {
    let first = open(sessions, learner, "again").await;
    sessions.set_status(first.id, SessionStatus::Ready, None).await.unwrap();
    let mut newer = lab("again");
    newer.version = "version-2".into();
    let second = sessions.open(learner, &newer).await.unwrap();
    let time = second.time.clone();
    assert_eq!(second, Session { status: SessionStatus::Ready, time, ..first });
}

async fn many_at_once_open_one(sessions: &dyn LabSessions, learner: UserId) {
    let opened = futures_util::future::join_all((0..8).map(|_| open(sessions, learner, "rush"))).await;
    assert!(opened.iter().all(|session| session.id == opened[0].id));
}

async fn sessions_of_others_and_of_other_labs_are_apart(
    sessions: &dyn LabSessions,
    learner: UserId,
    other: UserId,
) {
    let mine = open(sessions, learner, "apart").await;
    assert_eq!(sessions.live(other, "apart").await.unwrap(), None);
    assert_eq!(sessions.live(learner, "elsewhere").await.unwrap(), None);
    assert_ne!(open(sessions, other, "apart").await.id, mine.id);
    assert_ne!(open(sessions, learner, "elsewhere").await.id, mine.id);
    let both = [learner, other];
    let members = async |lab| sessions.members(lab, &both).await.unwrap();
    let mut apart = members("apart").await;
    apart.sort();
    assert_eq!(apart, {
        let mut both = both;
        both.sort();
        both
    });
    assert_eq!(members("elsewhere").await, [learner]);
    assert_eq!(sessions.members("apart", &[UserId::new()]).await.unwrap(), []);
    sessions.set_status(mine.id, SessionStatus::Finished, None).await.unwrap();
    assert_eq!(members("apart").await, [other]);
}

async fn outputs_stay_until_others_are_given(sessions: &dyn LabSessions, learner: UserId) {
    let id = open(sessions, learner, "outputs").await.id;
    let outputs = json!({"address": "10.0.0.7", "ports": [22, 80]});
    sessions.set_status(id, SessionStatus::Ready, Some(outputs.clone())).await.unwrap();
    sessions.set_status(id, SessionStatus::Grading, None).await.unwrap();
    assert_eq!(sessions.live(learner, "outputs").await.unwrap().unwrap().outputs, outputs);
    sessions.set_status(id, SessionStatus::Ready, Some(json!({}))).await.unwrap();
    assert_eq!(sessions.live(learner, "outputs").await.unwrap().unwrap().outputs, json!({}));
}

async fn a_dirty_session_is_still_live(sessions: &dyn LabSessions, learner: UserId) {
    let id = open(sessions, learner, "dirty").await.id;
    sessions.set_status(id, SessionStatus::Dirty, None).await.unwrap();
    let live = sessions.live(learner, "dirty").await.unwrap().unwrap();
    assert_eq!((live.id, live.status, live.ended_at), (id, SessionStatus::Dirty, None));
    sessions.set_status(id, SessionStatus::Finishing, None).await.unwrap();
}

async fn a_final_status_ends_a_session_for_good(sessions: &dyn LabSessions, learner: UserId) {
    for end in [SessionStatus::Finished, SessionStatus::Failed, SessionStatus::Expired] {
        let id = open(sessions, learner, "end").await.id;
        sessions.set_status(id, end, None).await.unwrap();
        assert_eq!(sessions.live(learner, "end").await.unwrap(), None);
        sessions.set_status(id, end, None).await.expect("said twice is said once");
        assert_eq!(code(sessions.set_status(id, SessionStatus::Ready, None).await), "session.ended");
        assert_eq!(sessions.live(learner, "end").await.unwrap(), None);
    }
}

async fn after_the_end_a_new_one_can_be_opened(sessions: &dyn LabSessions, learner: UserId) {
    let first = open(sessions, learner, "next").await;
    sessions.set_status(first.id, SessionStatus::Finished, None).await.unwrap();
    let second = open(sessions, learner, "next").await;
    assert_ne!(second.id, first.id);
    assert_eq!(second.status, SessionStatus::Launching);
}

async fn grades_are_numbered_from_one_and_kept_in_order(sessions: &dyn LabSessions, learner: UserId) {
    let id = open(sessions, learner, "grades").await.id;
    assert_eq!(sessions.grades(id).await.unwrap(), []);
    let first = grade(id);
    let second = Grade { score: 0.0, max: 0.0, feedback: None, tests: json!([]), ..grade(id) };
    assert_eq!(sessions.add_grade(&first).await.unwrap(), 1);
    assert_eq!(sessions.add_grade(&second).await.unwrap(), 2);
    assert_eq!(sessions.grades(id).await.unwrap(), [first, second]);
    let elsewhere = open(sessions, learner, "grades-elsewhere").await.id;
    assert_eq!(sessions.add_grade(&grade(elsewhere)).await.unwrap(), 1);
}

async fn a_run_is_graded_once(sessions: &dyn LabSessions, learner: UserId) {
    let id = open(sessions, learner, "once").await.id;
    let first = grade(id);
    assert_eq!(sessions.add_grade(&first).await.unwrap(), 1);
    assert_eq!(sessions.add_grade(&grade(id)).await.unwrap(), 2);
    let again = Grade { score: 1.0, ..first.clone() };
    assert_eq!(sessions.add_grade(&again).await.unwrap(), 1);
    let kept = sessions.grades(id).await.unwrap();
    assert_eq!((kept.len(), &kept[0]), (2, &first));
}

async fn grades_stored_at_once_get_different_numbers(sessions: &dyn LabSessions, learner: UserId) {
    let id = open(sessions, learner, "at-once").await.id;
    let tries = (0..6).map(|_| async { sessions.add_grade(&grade(id)).await.unwrap() });
    let mut numbers = futures_util::future::join_all(tries).await;
    numbers.sort();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
}

async fn a_score_outside_its_range_is_refused(sessions: &dyn LabSessions, learner: UserId) {
    let id = open(sessions, learner, "range").await.id;
    for (score, max) in [(-1.0, 10.0), (11.0, 10.0), (f64::NAN, 10.0), (1.0, f64::NAN), (1.0, f64::INFINITY)]
    {
        let refused = sessions.add_grade(&Grade { score, max, ..grade(id) }).await;
        assert_eq!(code(refused), "grade.score_invalid", "{score} of {max}");
    }
    assert_eq!(sessions.grades(id).await.unwrap(), []);
}

async fn unknown_sessions_are_refused(sessions: &dyn LabSessions) {
    let unknown = SessionId::new();
    assert_eq!(code(sessions.set_status(unknown, SessionStatus::Ready, None).await), "session.unknown");
    assert_eq!(code(sessions.add_grade(&grade(unknown)).await), "session.unknown");
    assert_eq!(sessions.grades(unknown).await.unwrap(), []);
}

async fn a_session_is_found_by_its_id_and_by_its_user(sessions: &dyn LabSessions, user: UserId) {
    for session in sessions.live_of(user).await.unwrap() {
        sessions.set_status(session.id, SessionStatus::Finished, None).await.unwrap();
    }
    assert_eq!(sessions.live_of(user).await.unwrap(), []);
    let (first, second) = (open(sessions, user, "found").await, open(sessions, user, "found-too").await);
    assert_eq!(sessions.live_of(user).await.unwrap(), [first.clone(), second.clone()]);
    sessions.set_status(first.id, SessionStatus::Failed, None).await.unwrap();
    assert_eq!(sessions.live_of(user).await.unwrap(), std::slice::from_ref(&second));
    let over = sessions.session(first.id).await.unwrap().unwrap();
    assert_eq!((over.status, over.ended_at.is_some()), (SessionStatus::Failed, true), "ended ones are kept");
    assert_eq!(sessions.session(SessionId::new()).await.unwrap(), None);
    sessions.set_status(second.id, SessionStatus::Finished, None).await.unwrap();
}

async fn of_runs_noted_at_once_all_hear_of_one(sessions: &dyn LabSessions, learner: UserId) {
    let id = open(sessions, learner, "noted").await.id;
    let tries = (0..6).map(|_| async { sessions.set_run(id, None, RunId::new()).await.unwrap() });
    let heard = futures_util::future::join_all(tries).await;
    assert!(heard.iter().all(|run| *run == heard[0]), "{heard:?}");
    assert_eq!(sessions.set_run(id, None, heard[0]).await.unwrap(), heard[0], "said twice is said once");
    let next = RunId::new();
    assert_eq!(sessions.set_run(id, Some(heard[0]), next).await.unwrap(), next);
    assert_eq!(sessions.session(id).await.unwrap().unwrap().run, Some(next));
    assert_eq!(code(sessions.set_run(SessionId::new(), None, next).await), "session.unknown");
}

async fn the_outputs_to_show_are_the_labs_as_it_was(sessions: &dyn LabSessions, learner: UserId) {
    let shown = Lab { outputs: Some(vec!["url".into()]), ..lab("shown") };
    let id = sessions.open(learner, &shown).await.unwrap().id;
    let outputs = json!({"url": "http://x", "key": "k"});
    sessions.set_status(id, SessionStatus::Ready, Some(outputs.clone())).await.unwrap();
    let session = sessions.session(id).await.unwrap().unwrap();
    assert_eq!((&session.outputs, session.shown_outputs()), (&outputs, json!({"url": "http://x"})));
}

async fn a_lab_that_wants_its_learner_alone_waits_for_others(sessions: &dyn LabSessions, user: UserId) {
    let alone = |name: &str| {
        let mut lab = lab(name);
        lab.limits.one_at_a_time = true;
        lab
    };
    let first = open(sessions, user, "plain").await;
    assert_eq!(code(sessions.open(user, &alone("alone")).await), "session.elsewhere");
    sessions.set_status(first.id, SessionStatus::Finished, None).await.unwrap();
    let labs: Vec<Lab> = (0..6).map(|at| alone(&format!("alone-{at}"))).collect();
    let opened = futures_util::future::join_all(labs.iter().map(|lab| sessions.open(user, lab))).await;
    let opened: Vec<Session> = opened.into_iter().flatten().collect();
    assert_eq!(opened.len(), 1, "one of those at once: {opened:?}");
    let again = labs.iter().find(|lab| lab.name == opened[0].lab).unwrap();
    assert_eq!(sessions.open(user, again).await.unwrap().id, opened[0].id, "its own is no other");
}
