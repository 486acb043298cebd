//! What a grader says, and whether to believe it. A fault of the grader is never a grade.

mod passing;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use passing::Passing;

/// Of a result in the last line of the output; a file's is held to the same by whoever reads it.
const MOST_RESULT_BYTES: usize = 256 << 10;
/// Of tests in a result.
const MOST_TESTS: usize = 1000;
/// Bytes of the words for the learner that are kept.
pub const MOST_FEEDBACK: usize = 64 << 10;
/// Bytes of each of a test's words.
const MOST_WORDS: usize = 4 << 10;

/// A grader's result, as it writes it.
#[derive(Debug, PartialEq, Deserialize)]
pub struct Said {
    pub score: f64,
    pub max: f64,
    #[serde(default)]
    pub tests: Vec<TestSaid>,
    pub feedback: Option<String>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
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
        // The parser's own words would quote the result, and with it a hidden test.
        let wrong = |error: serde_json::Error| {
            format!("its result cannot be read: line {}, column {}", error.line(), error.column())
        };
        let mut said: Self = serde_json::from_str(text).map_err(wrong)?;
        said.check()?;
        said.feedback = said.feedback.map(|words| cut(words, MOST_FEEDBACK));
        Ok(said)
    }

    fn check(&self) -> Result<(), String> {
        fits("the score", self.score, self.max)?;
        if self.max <= 0.0 {
            return Err("the most that can be reached is not above zero".into());
        }
        if self.tests.len() > MOST_TESTS {
            return Err(format!("it has more than {MOST_TESTS} tests"));
        }
        self.tests.iter().try_for_each(TestSaid::check)
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

impl TestSaid {
    fn check(&self) -> Result<(), String> {
        let name = if self.hidden {
            "a hidden test".to_owned()
        } else {
            format!("test {:?}", cut(self.id.clone(), 64))
        };
        let words = [Some(&self.id), Some(&self.name), self.message.as_ref()];
        if words.into_iter().flatten().any(|words| words.len() > MOST_WORDS) {
            return Err(format!("{name} has words of more than 4 KiB"));
        }
        fits(&name, self.points, self.max)
    }
}

/// At most so many bytes, and whole letters.
pub fn cut(mut words: String, most_bytes: usize) -> String {
    let end = (0..=most_bytes.min(words.len())).rev().find(|at| words.is_char_boundary(*at)).unwrap_or(0);
    words.truncate(end);
    words
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
            r#"{"score": 1, "max": 10, "tests": {}}"#,
            r#"{"score": 1, "max": 10} {"score": 9, "max": 10}"#,
            "{\"score\": 1, \"max\": 10, \"tests\": [[[[[[[[",
        ] {
            assert!(Said::read(text).is_err(), "{text}");
        }
        let long = "x".repeat(5 << 10);
        let test = format!(r#"{{"id": "{long}", "name": "A", "points": 1, "max": 2, "status": "pass"}}"#);
        assert!(Said::read(&format!(r#"{{"score": 1, "max": 10, "tests": [{test}]}}"#)).is_err());
        let test = r#"{"id": "a", "name": "A", "points": 1, "max": 2, "status": "pass"}"#;
        let many = vec![test; MOST_TESTS + 1].join(",");
        assert!(Said::read(&format!(r#"{{"score": 1, "max": 10, "tests": [{many}]}}"#)).is_err());
    }

    #[test]
    fn what_is_wrong_with_a_result_never_tells_of_a_hidden_test() {
        for test in [
            r#"{"id": "canary", "name": "canary", "points": 9, "max": 2, "status": "pass", "hidden": true}"#,
            r#"{"id": "canary", "name": "A", "points": 1, "max": 2, "status": "canary", "hidden": true}"#,
            r#"{"id": 1, "name": "A", "points": "canary", "max": 2, "status": "pass", "hidden": true}"#,
        ] {
            let why = Said::read(&format!(r#"{{"score": 1, "max": 10, "tests": [{test}]}}"#)).unwrap_err();
            assert!(!why.contains("canary"), "{why}");
        }
    }

    #[test]
    fn words_are_cut_between_letters() {
        assert_eq!(cut("aäb".into(), 2), "a");
        assert_eq!(cut("ab".into(), 9), "ab");
    }
}
