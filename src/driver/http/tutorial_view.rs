//! A lab's tutorial as callers see it: HTML to be read, and how far they are.

use flow_domain::labs::tutorial::Tutorial;
use flow_domain::labs::{Lab, Session, StepState};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::lab_view::path_of_session;

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Tutorial")]
pub(super) struct TutorialView<'a> {
    /// As the lab's author wrote it.
    markdown: &'a str,
    /// The introduction: what stands before the first step. Like all HTML here it has no scripts, styles, forms or
    /// pictures, and can be put into a page as it is.
    html: String,
    /// One for each heading of the second level, with the session's outputs filled in.
    steps: Vec<StepView>,
}

/// A step of a tutorial.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TutorialStep")]
struct StepView {
    /// From 1.
    step: u32,
    title: String,
    html: String,
    /// It has a check; one without is done when its learner says so.
    has_check: bool,
    /// It is done. What was done stays done.
    done: bool,
    done_at: Option<Timestamp>,
    /// When it was last looked at, whether it was found done then, and what the check said.
    checked_at: Option<Timestamp>,
    passed: Option<bool>,
    message: Option<String>,
    /// How often it was looked at.
    checks: u32,
    /// Where to ask for a look, with a session.
    check: Option<String>,
}

impl<'a> TutorialView<'a> {
    pub(super) fn new(lab: &'a Lab, session: Option<&Session>, states: &[StepState]) -> Self {
        let outputs = session.map_or_else(|| json!({}), Session::shown_outputs);
        let rendered = Tutorial::read(&lab.tutorial).render(&outputs);
        let steps = (1_u32..).zip(rendered.steps).map(|(step, rendered)| {
            let state = states.iter().find(|state| state.step == step);
            StepView {
                step,
                title: rendered.title,
                html: rendered.html,
                has_check: lab.checks.contains(&step),
                done: state.is_some_and(|state| state.passed_at.is_some()),
                done_at: state.and_then(|state| state.passed_at),
                checked_at: state.map(|state| state.checked_at),
                passed: state.map(|state| state.passed),
                message: state.and_then(|state| state.message.clone()),
                checks: state.map_or(0, |state| state.checks),
                check: session.map(|session| format!("{}/steps/{step}/check", path_of_session(session.id))),
            }
        });
        Self { markdown: &lab.tutorial, html: rendered.intro, steps: steps.collect() }
    }
}
