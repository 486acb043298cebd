//! What a grader may do wrong, and what becomes of the grade.

use serde_json::{Value, json};

use super::bench::Bench;

const MAIN: &str = "resource \"terraform_data\" \"x\" { input = \"made\" }\noutput \"o\" { value = terraform_data.x.output }";

/// Does what the answer `mode` says.
const GRADER: &str = r##"#!/bin/sh
mode=$(sed -n 's/^    "mode": "\([a-z]*\)".*/\1/p' "$FM_GRADE_INPUT")
say() { printf '%s' "$1" > "$FM_GRADE_RESULT"; }
case $mode in
  file)    say '{"score": 1, "max": 4}'; echo '{"score": 2, "max": 4}' ;;
  line)    echo working; echo '{"score": 2, "max": 4}' ;;
  hidden)  say '{"score": 3, "max": 4, "tests": [
             {"id": "a", "name": "A", "points": 1, "max": 1, "status": "pass", "message": "good"},
             {"id": "b", "name": "B", "points": 2, "max": 3, "status": "fail", "hidden": true}]}' ;;
  env)     say '{"score": 0, "max": 1}'; env | cut -d= -f1 | sort | tr '\n' ' '; pwd ;;
  one)     say '{"score": 3, "max": 4}'; echo "nothing to grade"; exit 1 ;;
  two)     say '{"score": 3, "max": 4}'; exit 2 ;;
  over)    say '{"score": 5, "max": 4}' ;;
  silent)  exit 0 ;;
  kill)    say '{"score": 3, "max": 4}'; kill -9 $$ ;;
  slow)    say '{"score": 3, "max": 4}'; echo '{"score": 3, "max": 4}'; exec sleep 1000 ;;
esac
"##;

async fn submit(bench: &Bench, mode: &str) -> Value {
    bench.run("lab-submit", json!({"lab": "odd", "answers": {"mode": mode}})).await
}

#[tokio::test]
async fn only_a_grader_that_did_its_work_gives_a_grade() {
    let bench = Bench::with_lab("odd", MAIN, GRADER).await;
    let launch = bench.run("lab-launch", json!({"lab": "odd"})).await;
    assert_eq!(launch["status"], "succeeded", "{launch}");

    for (mode, score, gradable) in
        [("file", 1.0, true), ("line", 2.0, true), ("hidden", 3.0, true), ("one", 0.0, false)]
    {
        let run = submit(&bench, mode).await;
        let grade = bench.output(&run, "grade");
        assert_eq!((&grade["score"], &grade["max"]), (&json!(score), &json!(4.0)), "{mode}: {run}");
        assert_eq!(grade["gradable"], gradable, "{mode}");
        match mode {
            "hidden" => assert_eq!(grade["tests"].as_array().unwrap().len(), 1, "{grade}"),
            "one" => assert_eq!(grade["feedback"], "nothing to grade"),
            _ => {}
        }
    }
    let faults =
        [("two", "grade.fault"), ("over", "grade.fault"), ("silent", "grade.fault"), ("kill", "grade.fault")];
    for (mode, code) in faults.into_iter().chain([("slow", "grade.timed_out")]) {
        let run = submit(&bench, mode).await;
        assert_eq!(
            (&run["status"], &run["error"]["code"]),
            (&json!("failed"), &json!(code)),
            "{mode}: {run}"
        );
    }
    // Four grades were stored before, and none by a fault.
    let run = submit(&bench, "file").await;
    assert_eq!(bench.output(&run, "store_grade")["attempt"], 5);
}

#[tokio::test]
async fn a_grader_has_an_environment_of_ours_and_a_folder_of_its_own() {
    let bench = Bench::with_lab("odd", MAIN, GRADER).await;
    bench.run("lab-launch", json!({"lab": "odd"})).await;
    let run = submit(&bench, "env").await;
    let id = run["id"].as_str().unwrap();
    let events = bench.events(id).await;
    let line =
        events.lines().find(|line| line.contains("FM_GRADE_INPUT")).unwrap_or_else(|| panic!("{events}"));
    assert!(line.contains("FM_GRADE_INPUT FM_GRADE_RESULT HOME LANG PATH PWD"), "{line}");
    assert!(!line.contains("FLOW_"), "{line}");
    let left: Vec<_> =
        std::fs::read_dir(bench.directory("odd").unwrap().join(".flow")).unwrap().flatten().collect();
    assert!(left.iter().all(|entry| !entry.file_name().to_string_lossy().starts_with("grade-")), "{left:?}");
}
