//! What a grader says, and whether to believe it. A fault of the grader is never a grade.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The larger part of a result is tests and words; more than this is a grader gone wrong.
const MOST_RESULT_BYTES: usize = 256 << 10;

/// A grader's result, as it writes it.
#[derive(Debug, PartialEq, Deserialize)]
pub struct Said {
    pub score: f64,
    pub max: f64,
    #[serde(default)]
    pub tests: Vec<TestSaid>,
    pub feedback: Option<String>,
}

#[derive(Debug, PartialEq, Deserialize)]
pub struct TestSaid {
    id: String,
    name: String,
    points: f64,
    max: f64,
    status: TestStatus,
    message: Option<String>,
    #[serde(default)]
    hidden: bool,
}

/// One of a grader's tests, as the learner may see it.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// The test's id, the same in every attempt.
    pub id: String,
    /// What it looks at, in words.
    pub name: String,
    /// Points that were given.
    pub points: f64,
    /// Points that could be given.
    pub max: f64,
    /// How it ended.
    pub status: TestStatus,
    /// What to do about it.
    pub message: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TestStatus {
    Pass,
    Fail,
    Skip,
    Error,
}

impl Said {
    /// Reads a result. The error says what is wrong with it.
    pub fn read(text: &str) -> Result<Self, String> {
        if text.len() > MOST_RESULT_BYTES {
            return Err("its result is over 256 KiB".into());
        }
        let said: Self =
            serde_json::from_str(text).map_err(|error| format!("its result cannot be read: {error}"))?;
        said.check()?;
        Ok(said)
    }

    fn check(&self) -> Result<(), String> {
        fits("the score", self.score, self.max)?;
        if self.max <= 0.0 {
            return Err("the most that can be reached is not above zero".into());
        }
        self.tests.iter().try_for_each(|test| fits(&format!("test {:?}", test.id), test.points, test.max))
    }

    /// The tests that the learner may see.
    pub fn shown(tests: Vec<TestSaid>) -> Vec<Test> {
        let shown = tests.into_iter().filter(|test| !test.hidden);
        shown
            .map(|TestSaid { id, name, points, max, status, message, .. }| Test {
                id,
                name,
                points,
                max,
                status,
                message,
            })
            .collect()
    }
}

fn fits(what: &str, points: f64, max: f64) -> Result<(), String> {
    match points.is_finite() && max.is_finite() && (0.0..=max).contains(&points) {
        true => Ok(()),
        false => Err(format!("{what} is not between 0 and its maximum")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_read_with_its_tests_and_hidden_ones_are_not_shown() {
        let said = Said::read(
            r#"{"score": 7.5, "max": 10, "feedback": "ok", "more": 1, "tests": [
                {"id": "a", "name": "A", "points": 7.5, "max": 8, "status": "pass"},
                {"id": "b", "name": "B", "points": 0, "max": 2, "status": "fail", "message": "no", "hidden": true}]}"#,
        )
        .unwrap();
        assert_eq!((said.score, said.max, said.feedback.as_deref()), (7.5, 10.0, Some("ok")));
        let shown = Said::shown(said.tests);
        assert_eq!(shown.iter().map(|test| test.id.as_str()).collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn what_cannot_be_believed_is_refused() {
        for text in [
            "",
            "[]",
            r#"{"score": 1}"#,
            r#"{"score": 11, "max": 10}"#,
            r#"{"score": -1, "max": 10}"#,
            r#"{"score": 0, "max": 0}"#,
            r#"{"score": 1e999, "max": 1e999}"#,
            r#"{"score": "1", "max": 10}"#,
            r#"{"score": 1, "max": 10, "tests": [{"id": "a", "name": "A", "points": 3, "max": 2, "status": "pass"}]}"#,
            r#"{"score": 1, "max": 10, "tests": [{"id": "a", "name": "A", "points": 1, "max": 2, "status": "great"}]}"#,
        ] {
            assert!(Said::read(text).is_err(), "{text}");
        }
    }
}
