//! The time of sessions, a part of the contract of where they are kept.

use std::time::{Duration, Instant};

use flow_domain::UserId;
use flow_domain::labs::{Ending, Lab, LabLimits, LabSessions, Session, SessionStatus};

use super::{code, lab};

pub async fn suite(sessions: &dyn LabSessions, learner: UserId) {
    the_clock_starts_at_the_hand_over(sessions, learner).await;
    an_extension_is_had_as_often_as_the_lab_allows(sessions, learner).await;
    an_end_is_warned_of_once_and_comes(sessions, learner).await;
}

async fn open(sessions: &dyn LabSessions, learner: UserId, name: &str, limits: LabLimits) -> Session {
    let lab = Lab { limits, ..lab(name) };
    sessions.open(learner, &lab).await.unwrap()
}

async fn ready(sessions: &dyn LabSessions, session: &Session) -> Session {
    sessions.set_status(session.id, SessionStatus::Ready, None).await.unwrap();
    sessions.session(session.id).await.unwrap().unwrap()
}

async fn the_clock_starts_at_the_hand_over(sessions: &dyn LabSessions, learner: UserId) {
    let limits = LabLimits { idle_s: 100, total_s: 1000, ..LabLimits::default() };
    let session = open(sessions, learner, "clock", limits).await;
    assert_eq!((session.time.ready_at, session.time.end(), session.time.warn_s), (None, None, 50));
    sessions.touch(session.id).await.unwrap();
    let session = ready(sessions, &session).await;
    assert!(session.time.ready_at.unwrap() >= session.created_at);
    assert_eq!(session.time.end().unwrap().1, Ending::Idle);
    sessions.set_status(session.id, SessionStatus::Grading, None).await.unwrap();
    assert_eq!(ready(sessions, &session).await.time.ready_at, session.time.ready_at, "it starts once");

    // Its owner's next call moves the end.
    let start = Instant::now();
    loop {
        sessions.touch(session.id).await.unwrap();
        let now = sessions.session(session.id).await.unwrap().unwrap();
        if now.time.seen_at > session.time.seen_at {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    sessions.set_status(session.id, SessionStatus::Finished, None).await.unwrap();
    sessions.touch(session.id).await.unwrap();
}

async fn an_extension_is_had_as_often_as_the_lab_allows(sessions: &dyn LabSessions, learner: UserId) {
    let limits = LabLimits { idle_s: 900, total_s: 100, extend_s: 50, extensions: 2, ..LabLimits::default() };
    let session = open(sessions, learner, "extended", limits).await;
    assert_eq!(code(sessions.extend(session.id).await), "session.not_ready");
    let session = ready(sessions, &session).await;
    let (before, because) = session.time.end().unwrap();
    assert_eq!(because, Ending::Total);
    sessions.extend(session.id).await.unwrap();
    let extended = sessions.extend(session.id).await.unwrap();
    assert_eq!(extended.time.end().unwrap().0.duration_since(before).as_secs(), 100);
    assert_eq!(code(sessions.extend(session.id).await), "session.no_extension");
    sessions.set_status(session.id, SessionStatus::Finished, None).await.unwrap();
    assert_ne!(code(sessions.extend(session.id).await), "");
}

async fn an_end_is_warned_of_once_and_comes(sessions: &dyn LabSessions, learner: UserId) {
    let limits = LabLimits { idle_s: 900, total_s: 2, warn_s: 300, ..LabLimits::default() };
    let session = open(sessions, learner, "ending", limits).await;
    let session = ready(sessions, &session).await;
    let (mut warned, start) = (0, Instant::now());
    let ending = loop {
        warned += sessions.warnings().await.unwrap().iter().filter(|it| it.id == session.id).count();
        let over = sessions.run_out().await.unwrap();
        if let Some(over) = over.into_iter().find(|it| it.id == session.id) {
            break over.time.ending;
        }
        assert!(start.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!((warned, ending), (1, Some(Ending::Total)));
    assert!(sessions.run_out().await.unwrap().iter().all(|it| it.id != session.id), "one takes it down");
    assert_eq!(code(sessions.extend(session.id).await), "session.ending");
    sessions.set_status(session.id, SessionStatus::Expired, None).await.unwrap();
}
