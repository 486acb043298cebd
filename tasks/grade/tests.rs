use std::collections::BTreeMap;
use std::path::PathBuf;

use flow_domain::labs::{Difficulty, Grading, LabLimits};

use super::*;

const RESULT: &str = r#"{"score": 3, "max": 4}"#;

fn exit(code: Option<i32>, stdout: &str) -> Exit {
    let signal = code.is_none().then_some(9);
    Exit { code, signal, timed_out: false, cancelled: false, stdout: stdout.into(), stderr: "words\n".into() }
}

fn a_lab() -> Lab {
    Lab {
        name: "web".into(),
        title: "Web".into(),
        summary: "Web".into(),
        minutes: 1,
        dir: PathBuf::new(),
        version: "v".into(),
        difficulty: Difficulty::Beginner,
        allow: vec![],
        tutorial: String::new(),
        checks: Default::default(),
        answers: vec![],
        limits: LabLimits::default(),
        grading: Grading::default(),
        variables: BTreeMap::new(),
        secrets: Default::default(),
        machines: 0,
        outputs: None,
    }
}

fn code(judged: Result<Verdict, Stop>) -> String {
    match judged {
        Ok(verdict) => panic!("graded: {verdict:?}"),
        Err(Stop::Retry { reason, .. } | Stop::Fail(reason) | Stop::FailClean(reason)) => reason.code,
        Err(Stop::WaitUntil(_)) => panic!("waits"),
    }
}

#[test]
fn the_result_is_the_file_and_else_the_last_line() {
    let lab = a_lab();
    let other = "working\n{\"score\": 1, \"max\": 4}\n\n";
    let score = |judged: Result<Verdict, Stop>| judged.unwrap().said.score;
    assert_eq!(score(judge(&exit(Some(0), other), &lab, Ok(Some(RESULT.into())))), 3.0);
    assert_eq!(score(judge(&exit(Some(0), other), &lab, Ok(None))), 1.0);
    assert_eq!(code(judge(&exit(Some(0), "done\n"), &lab, Ok(None))), "grade.fault");
}

#[test]
fn what_cannot_be_graded_scores_zero_with_the_reason() {
    let verdict = judge(&exit(Some(1), "no session\n"), &a_lab(), Ok(Some(RESULT.into()))).unwrap();
    assert_eq!((verdict.said.score, verdict.said.max, verdict.gradable), (0.0, 4.0, false));
    assert_eq!(verdict.said.feedback.as_deref(), Some("no session"));
    let verdict = judge(&exit(Some(1), ""), &a_lab(), Ok(None)).unwrap();
    assert_eq!((verdict.said.max, verdict.said.feedback.as_deref()), (100.0, Some("words")));
}

#[test]
fn a_fault_a_signal_and_a_timeout_are_never_a_score() {
    let (lab, result) = (a_lab(), || Ok(Some(RESULT.to_owned())));
    for broken in [Some(2), Some(126), None] {
        assert_eq!(code(judge(&exit(broken, RESULT), &lab, result())), "grade.fault");
    }
    let late = Exit { timed_out: true, ..exit(Some(0), RESULT) };
    assert_eq!(code(judge(&late, &lab, result())), "grade.timed_out");
    let stopped = Exit { cancelled: true, ..exit(Some(0), RESULT) };
    assert_eq!(code(judge(&stopped, &lab, result())), "grade.stopped");
}

#[test]
fn a_result_that_cannot_be_taken_is_a_fault_and_never_the_last_line() {
    let link = || Err("its result is not a plain file".to_owned());
    assert_eq!(code(judge(&exit(Some(0), RESULT), &a_lab(), link())), "grade.fault");
    let verdict = judge(&exit(Some(1), "no session"), &a_lab(), link()).unwrap();
    assert_eq!((verdict.said.score, verdict.gradable), (0.0, false));
}
