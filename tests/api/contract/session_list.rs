//! Which sessions there are, and what a learner's best attempts are.

use flow_domain::labs::{Grade, LabSessions, Session, SessionFilter, SessionStatus};
use flow_domain::{RunId, SessionId, UserId};
use serde_json::json;

use super::lab;

pub async fn suite(sessions: &dyn LabSessions, learner: UserId, other: UserId) {
    sessions_are_found_newest_first_by_what_is_asked(sessions, learner, other).await;
    the_best_attempt_of_a_lab_is_of_all_its_sessions(sessions, learner, other).await;
}

async fn found(sessions: &dyn LabSessions, filter: SessionFilter) -> Vec<SessionId> {
    sessions.find(&filter).await.unwrap().into_iter().map(|listed| listed.session.id).collect()
}

async fn sessions_are_found_newest_first_by_what_is_asked(
    sessions: &dyn LabSessions,
    learner: UserId,
    other: UserId,
) {
    let first = sessions.open(learner, &lab("listed")).await.unwrap();
    sessions.set_status(first.id, SessionStatus::Finished, None).await.unwrap();
    let second = sessions.open(learner, &lab("listed")).await.unwrap();
    let third = sessions.open(other, &lab("listed")).await.unwrap();
    let of_lab = || SessionFilter { lab: Some("listed".into()), limit: 10, ..SessionFilter::default() };
    assert_eq!(found(sessions, of_lab()).await, [third.id, second.id, first.id]);
    assert_eq!(found(sessions, SessionFilter { limit: 2, ..of_lab() }).await, [third.id, second.id]);
    let older = SessionFilter { before: Some(second.id), ..of_lab() };
    assert_eq!(found(sessions, older).await, [first.id]);
    let mine = SessionFilter { user: Some(learner), ..of_lab() };
    assert_eq!(found(sessions, mine).await, [second.id, first.id]);
    let over = SessionFilter { status: Some(SessionStatus::Finished), ..of_lab() };
    assert_eq!(found(sessions, over).await, [first.id]);
    let one = sessions.find(&SessionFilter { id: Some(third.id), ..of_lab() }).await.unwrap();
    assert_eq!(
        (one.len(), &one[0].session, &one[0].learner),
        (1, &third, &None),
        "an account without a name"
    );
    let none = SessionFilter { lab: Some("unlisted".into()), ..of_lab() };
    assert_eq!(found(sessions, none).await, []);
    for live in [second.id, third.id] {
        sessions.set_status(live, SessionStatus::Finished, None).await.unwrap();
    }
}

async fn graded(sessions: &dyn LabSessions, session: &Session, score: f64, max: f64) {
    let grade = Grade {
        session: session.id,
        run: RunId::new(),
        score,
        max,
        tests: json!([]),
        feedback: None,
        grader_sha256: "00ff".into(),
        lab_version: "version-1".into(),
        duration_ms: 1,
    };
    sessions.add_grade(&grade).await.unwrap();
}

async fn the_best_attempt_of_a_lab_is_of_all_its_sessions(
    sessions: &dyn LabSessions,
    learner: UserId,
    other: UserId,
) {
    let best = async |user: UserId| {
        let mut bests = sessions.bests(user).await.unwrap();
        bests.retain(|best| best.lab == "best");
        assert!(bests.len() < 2, "one of a lab: {bests:?}");
        bests.pop().map(|best| (best.session, best.attempt, best.score, best.max))
    };
    let first = sessions.open(learner, &lab("best")).await.unwrap();
    assert_eq!(best(learner).await, None);
    graded(sessions, &first, 0.0, 0.0).await;
    assert_eq!(best(learner).await, None, "nothing out of nothing");
    graded(sessions, &first, 0.0, 10.0).await;
    assert_eq!(best(learner).await, Some((first.id, 2, 0.0, 10.0)));
    graded(sessions, &first, 9.0, 10.0).await;
    sessions.set_status(first.id, SessionStatus::Finished, None).await.unwrap();
    let second = sessions.open(learner, &lab("best")).await.unwrap();
    graded(sessions, &second, 90.0, 100.0).await;
    graded(sessions, &second, 50.0, 100.0).await;
    assert_eq!(best(learner).await, Some((first.id, 3, 9.0, 10.0)), "of equal shares the first");
    graded(sessions, &second, 4.0, 4.0).await;
    assert_eq!(best(learner).await, Some((second.id, 3, 4.0, 4.0)));
    assert_eq!(best(other).await, None);
    sessions.set_status(second.id, SessionStatus::Finished, None).await.unwrap();
}
