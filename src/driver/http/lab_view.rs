//! Labs, sessions and attempts as callers see them.

use flow_domain::labs::{
    AskedAnswer, BestScore, Difficulty, Ending, Evidence, Grade, GradingPolicy, LabCard, LabLimits, Listed,
    Session, SessionStatus, StepState,
};
use flow_domain::{RunId, SessionId, UserId};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::run_view::path_of;
use super::tutorial_view::TutorialView;

/// A lab, with the caller's live session.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Lab")]
pub(super) struct LabView<'a> {
    name: &'a str,
    title: &'a str,
    summary: &'a str,
    /// How long a learner needs.
    minutes: u32,
    difficulty: Difficulty,
    /// SHA-256 of the lab's folder.
    version: &'a str,
    limits: &'a LabLimits,
    grading: GradingView,
    /// What to hand in; empty where the lab does not say.
    answers: &'a [AskedAnswer],
    session: Option<SessionView>,
    /// Your best attempt, in whichever session.
    best: Option<&'a BestScore>,
    /// The words beside the lab; left out in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    tutorial: Option<TutorialView<'a>>,
    links: LabLinks,
}

#[derive(Serialize, JsonSchema)]
struct GradingView {
    /// Which attempt of a session counts.
    policy: GradingPolicy,
}

#[derive(Serialize, JsonSchema)]
struct LabLinks {
    #[serde(rename = "self")]
    this: String,
    launch: String,
    submit: String,
    finish: String,
    reset: String,
    session: String,
}

impl<'a> LabView<'a> {
    pub(super) fn new(card: &'a LabCard) -> Self {
        let lab = &card.lab;
        let this = format!("/labs/{}", lab.name);
        Self {
            name: &lab.name,
            title: &lab.title,
            summary: &lab.summary,
            minutes: lab.minutes,
            difficulty: lab.difficulty,
            version: &lab.version,
            limits: &lab.limits,
            grading: GradingView { policy: lab.grading.policy },
            answers: &lab.answers,
            session: card.session.as_ref().map(SessionView::new),
            best: card.best.as_ref(),
            tutorial: None,
            links: LabLinks {
                launch: format!("{this}/launch"),
                submit: format!("{this}/submit"),
                finish: format!("{this}/finish"),
                reset: format!("{this}/reset"),
                session: format!("{this}/session"),
                this,
            },
        }
    }

    pub(super) fn with_tutorial(card: &'a LabCard, steps: &[StepState]) -> Self {
        let tutorial = TutorialView::new(&card.lab, card.session.as_ref(), steps);
        Self { tutorial: Some(tutorial), ..Self::new(card) }
    }
}

/// One learner in one lab.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Session")]
pub(super) struct SessionView {
    id: SessionId,
    lab: String,
    /// The lab's version that the session began with.
    lab_version: String,
    status: SessionStatus,
    /// The run that last moved it: the launch, the finish or the reset.
    run: Option<RunId>,
    /// Terraform's outputs that the lab shows, by name.
    outputs: Value,
    created_at: Timestamp,
    ended_at: Option<Timestamp>,
    time: TimeView,
    links: SessionLinks,
}

/// A session's clock; it starts when the session is ready.
#[derive(Serialize, JsonSchema)]
struct TimeView {
    ready_at: Option<Timestamp>,
    /// When it will be over, if its owner does nothing until then; none before it is ready, and once it is over.
    expires_at: Option<Timestamp>,
    /// By what: left alone for too long, or all its time.
    because: Option<Ending>,
    /// Its time is over, and it is being taken down, or was.
    expired: bool,
    /// How long before the end a warning comes, in seconds.
    warn_s: i64,
    /// What an extension adds to the total time, in seconds.
    extend_s: i64,
    extensions_left: i32,
}

impl TimeView {
    fn new(session: &Session) -> Self {
        let time = &session.time;
        let end = time.end().filter(|_| session.ended_at.is_none());
        Self {
            ready_at: time.ready_at,
            expires_at: end.map(|(at, _)| at),
            because: time.ending.or(end.map(|(_, because)| because)),
            expired: time.ending.is_some(),
            warn_s: time.warn_s,
            extend_s: time.extend_s,
            extensions_left: time.extensions_left,
        }
    }
}

#[derive(Serialize, JsonSchema)]
struct SessionLinks {
    #[serde(rename = "self")]
    this: String,
    lab: String,
    attempts: String,
    timeline: String,
    extend: String,
    run: Option<String>,
}

impl SessionView {
    pub(super) fn new(session: &Session) -> Self {
        let this = path_of_session(session.id);
        Self {
            id: session.id,
            lab: session.lab.clone(),
            lab_version: session.lab_version.clone(),
            status: session.status,
            run: session.run,
            outputs: session.shown_outputs(),
            created_at: session.created_at,
            ended_at: session.ended_at,
            time: TimeView::new(session),
            links: SessionLinks {
                lab: format!("/labs/{}", session.lab),
                attempts: format!("{this}/attempts"),
                timeline: format!("{this}/timeline"),
                extend: format!("{this}/extend"),
                run: session.run.map(path_of),
                this,
            },
        }
    }
}

/// A session with whose it is.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LearnersSession")]
pub(super) struct ListedView {
    #[serde(flatten)]
    session: SessionView,
    learner: LearnerView,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SessionLearner")]
struct LearnerView {
    id: UserId,
    /// Their name, username or e-mail address, whichever there is first.
    name: Option<String>,
}

impl ListedView {
    pub(super) fn new(listed: &Listed) -> Self {
        let learner = LearnerView { id: listed.session.user, name: listed.learner.clone() };
        Self { session: SessionView::new(&listed.session), learner }
    }
}

pub(super) fn path_of_session(session: SessionId) -> String {
    format!("/sessions/{session}")
}

/// One graded attempt.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Attempt")]
pub(super) struct AttemptView<'a> {
    /// From 1.
    attempt: usize,
    run: RunId,
    score: f64,
    max: f64,
    /// It is the one that counts, by the lab's grading policy.
    counts: bool,
    /// `{id, name, points, max, status, message}`, without hidden ones.
    #[schemars(with = "Vec<Value>")]
    tests: &'a Value,
    feedback: Option<&'a str>,
    /// SHA-256 of the grading program.
    grader_sha256: &'a str,
    lab_version: &'a str,
    duration_ms: i64,
}

impl<'a> AttemptView<'a> {
    pub(super) fn list(grades: &'a [Grade], counting: Option<usize>) -> Vec<Self> {
        let view = |(index, grade): (usize, &'a Grade)| Self {
            attempt: index + 1,
            run: grade.run,
            score: grade.score,
            max: grade.max,
            counts: counting == Some(index),
            tests: &grade.tests,
            feedback: grade.feedback.as_deref(),
            grader_sha256: &grade.grader_sha256,
            lab_version: &grade.lab_version,
            duration_ms: grade.duration_ms,
        };
        grades.iter().enumerate().map(view).collect()
    }
}

/// What a grader left.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Evidence")]
pub(super) struct EvidenceView<'a> {
    /// The attempt that came of it; null when there is none.
    attempt: Option<u32>,
    run: RunId,
    /// `graded`, `not_gradable`, or the code of what went wrong.
    outcome: &'a str,
    /// `{id, name, points, max, status, message, hidden}`, hidden ones too.
    #[schemars(with = "Vec<Value>")]
    tests: &'a Value,
    /// Head and tail of what the grader wrote to both streams.
    output: &'a str,
    /// SHA-256 of the grading program.
    grader_sha256: &'a str,
    lab_version: &'a str,
    duration_ms: i64,
}

impl<'a> EvidenceView<'a> {
    pub(super) fn new((evidence, attempt): &'a (Evidence, Option<u32>)) -> Self {
        Self {
            attempt: *attempt,
            run: evidence.run,
            outcome: &evidence.outcome,
            tests: &evidence.tests,
            output: &evidence.output,
            grader_sha256: &evidence.grader_sha256,
            lab_version: &evidence.lab_version,
            duration_ms: evidence.duration_ms,
        }
    }
}
