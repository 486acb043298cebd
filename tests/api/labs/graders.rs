//! Graders that do harm, and what becomes of it: never a score, nothing left, nothing read.

use std::time::{Duration, Instant};

use flow_domain::SessionId;
use flow_domain::labs::GradeEvidence;
use flow_manager::driven::grader::Accounts;
use flow_manager::driven::postgres::PgGradeEvidence;
use serde_json::{Value, json};

use super::bench::{Bench, PATIENCE};
use super::people::Person;

const MAIN: &str = "resource \"terraform_data\" \"x\" { input = \"made\" }";
const CARD: &str =
    "[grading]\ntimeout_s = 120\npolicy = \"last\"\nmemory_mb = 256\nprocesses = 32\nfile_mb = 1\n";

/// Does what the answer `mode` says, with the path of the answer `path`.
const GRADER: &str = r##"#!/bin/sh
answer() { sed -n "s/^    \"$1\": \"\([^\"]*\)\".*/\1/p" "$FM_GRADE_INPUT"; }
directory=$(sed -n 's/^  "directory": "\(.*\)".*/\1/p' "$FM_GRADE_INPUT")
say() { printf '%s' "$1" > "$FM_GRADE_RESULT"; }
fine='{"score": 3, "max": 4}'
path=$(answer path)
mode=$(answer mode)
case $mode in
  fine)     say "$fine" ;;
  loops)    say "$fine"; trap '' INT; (setsid sleep 1000 &); while :; do :; done ;;
  forks)    bomb() { bomb | bomb & }; bomb; bomb; wait; say "$fine"; exit 2 ;;
  escapes)  (setsid sleep 1000 &) ; setsid sh -c 'sleep 1000 & sleep 1000' > /dev/null 2>&1 & say "$fine" ;;
  floods)   say "$fine"; exec yes no ;;
  eats)     head -c 2000000000 /dev/zero | tail -n 1 > /dev/null || exit 2; say "$fine" ;;
  segv)     say "$fine"; kill -SEGV $$ ;;
  over)     say '{"score": 5, "max": 4}' ;;
  types)    say '{"score": "3", "max": 4}' ;;
  negative) say '{"score": -1, "max": 4}' ;;
  infinite) say '{"score": 1e999, "max": 1e999}' ;;
  tests)    say '{"score": 1, "max": 4, "tests": [{"id": "canary-id", "name": "n", "points": 9, "max": 1, "status": "pass", "hidden": true}]}' ;;
  link)     say "$fine"; mv "$FM_GRADE_RESULT" other; ln -s other "$FM_GRADE_RESULT" ;;
  shadow)   ln -s /etc/shadow "$FM_GRADE_RESULT" ;;
  pipe)     mkfifo "$FM_GRADE_RESULT" ;;
  moves)    say "$fine"; mv "$PWD" "$PWD.x" || exit 2; ln -s / "$PWD.x" ;;
  reads)    cat "$path"/* && say "$fine"; ls "$path" && say "$fine"; exit 2 ;;
  environ)  say "$fine"; cat /proc/*/environ 2> /dev/null | tr '\0' '\n' | grep '^FLOW_' && exit 0; exit 2 ;;
  writes)   echo broken > "$directory/main.tf"; rm -f "$path"; say "$fine" ;;
  waits)    echo waiting; i=0; while [ ! -e "$path" ] && [ $i -lt 600 ]; do sleep 0.1; i=$((i+1)); done; say "$fine" ;;
  hides)    echo '{"score": 3, "max": 4, "tests": [{"id": "canary-id", "name": "canary-name", "points": 1, "max": 1, "status": "pass", "message": "canary-words", "hidden": true}]}' ;;
esac
"##;

async fn launched(more_card: &str, more: &[(&str, &str)]) -> Bench {
    let bench = Bench::with_card("odd", MAIN, GRADER, more_card, more).await;
    let launch = bench.run("lab-launch", json!({"lab": "odd"})).await;
    assert_eq!(launch["status"], "succeeded", "{launch}");
    bench
}

fn answers(mode: &str, path: &str) -> Value {
    json!({"lab": "odd", "answers": {"mode": mode, "path": path}})
}

/// Nothing of a grader runs, and its place is free again.
fn nothing_is_left(bench: &Bench, mode: &str) {
    assert_eq!(bench.graders_alive(), Vec::<String>::new(), "{mode}");
    let desks = std::fs::read_dir(bench.open_path("")).unwrap().flatten();
    let desks: Vec<_> =
        desks.map(|entry| entry.file_name()).filter(|name| name != "lock" && name != "go").collect();
    assert!(desks.is_empty(), "{mode}: {desks:?}");
}

async fn session(bench: &Bench) -> SessionId {
    let client = bench.app.db.pool.client().await.unwrap();
    let row = client.query_one("select id from session", &[]).await.unwrap();
    SessionId(row.get(0))
}

/// Whether graders have users of their own on this machine.
fn own_users() -> bool {
    Accounts::usable(Some(20_000..=56_000)).0 != Accounts::Service
}

#[tokio::test]
async fn a_harmful_grader_gives_no_score_and_leaves_nothing() {
    let bench = launched(CARD, &[]).await;
    let state = bench.app.state_dir().display().to_string();
    let modes = ["forks", "floods", "eats", "segv", "over", "types", "negative", "infinite", "tests"];
    // What a user of its own is kept from, the service's own user is not.
    let kept_out = if own_users() {
        &["link", "shadow", "pipe", "moves", "reads", "environ"][..]
    } else {
        &["link", "pipe", "environ"]
    };
    for mode in modes.iter().chain(kept_out) {
        let run = bench.run("lab-submit", answers(mode, &state)).await;
        let code = "grade.fault";
        assert_eq!(
            (&run["status"], &run["error"]["code"]),
            (&json!("failed"), &json!(code)),
            "{mode}: {run}"
        );
        assert!(!run.to_string().contains("canary"), "{mode}: {run}");
        nothing_is_left(&bench, mode);
    }
    let evidence = PgGradeEvidence::new(bench.app.db.pool.clone());
    let kept = evidence.of_session(session(&bench).await).await.unwrap();
    assert_eq!(kept.len(), modes.len() + kept_out.len(), "every grader's end is kept");
    assert!(
        kept.iter().all(|evidence| evidence.outcome.starts_with("grade.") && evidence.output.len() < 140_000)
    );

    // And after all of that a good one is graded, as the first attempt.
    let run = bench.run("lab-submit", answers("fine", "")).await;
    assert_eq!(bench.output(&run, "store_grade")["attempt"], 1, "{run}");
}

#[tokio::test]
async fn what_a_grader_starts_ends_with_it_and_what_it_writes_stays_its_own() {
    for settings in [&[][..], &[("FLOW_GRADE_UIDS", "")]] {
        let bench = launched(CARD, settings).await;
        let run = bench.run("lab-submit", answers("escapes", "")).await;
        assert_eq!(bench.output(&run, "grade")["score"], 3.0, "{run}");
        nothing_is_left(&bench, "escapes");

        let dir = bench.directory("odd").unwrap();
        let state = dir.join("terraform.tfstate");
        let path = if own_users() && settings.is_empty() { state.to_str().unwrap() } else { "" };
        let run = bench.run("lab-submit", answers("writes", path)).await;
        assert_eq!(run["status"], "succeeded", "{run}");
        assert!(state.exists());
        assert_eq!(std::fs::read_to_string(dir.join("main.tf")).unwrap(), MAIN);
        nothing_is_left(&bench, "writes");
    }
}

#[tokio::test]
async fn a_grader_that_never_ends_is_killed_with_all_it_started() {
    for settings in [&[][..], &[("FLOW_GRADE_UIDS", "")]] {
        let bench = launched("[grading]\ntimeout_s = 1\n", settings).await;
        let run = bench.run("lab-submit", answers("loops", "")).await;
        assert_eq!(run["error"]["code"], "grade.timed_out", "{run}");
        nothing_is_left(&bench, "loops");
    }
}

#[tokio::test]
async fn hidden_tests_stay_hidden_and_are_kept_for_operators() {
    let bench = launched(CARD, &[]).await;
    let run = bench.run("lab-submit", answers("hides", "")).await;
    assert_eq!(bench.output(&run, "grade")["score"], 3.0, "{run}");
    let events = bench.events(run["id"].as_str().unwrap()).await;
    for seen in [run.to_string(), events] {
        assert!(!seen.contains("canary"), "{seen}");
    }
    let path = format!("/sessions/{}/evidence", session(&bench).await);
    let operator = Person::operator(&bench).await;
    let kept = operator.see(&path).await["data"][0].clone();
    assert_eq!((&kept["outcome"], &kept["tests"][0]["name"]), (&json!("graded"), &json!("canary-name")));
    assert_eq!((&kept["attempt"], &kept["run"]), (&json!(1), &run["id"]));
    for hash in ["grader_sha256", "lab_version"] {
        assert_eq!(kept[hash].as_str().unwrap().len(), 64, "{hash}");
    }
    // A faulty grader leaves evidence and no attempt.
    let faulty = bench.run("lab-submit", answers("over", "")).await;
    let of_run = operator.see(&format!("{path}?run={}", faulty["id"].as_str().unwrap())).await;
    let kept = of_run["data"].as_array().unwrap();
    assert!(!kept.is_empty() && kept.iter().all(|it| it["outcome"] == "grade.fault"), "{of_run}");
    assert!(kept.iter().all(|it| it["attempt"].is_null() && it["run"] == faulty["id"]), "{of_run}");
    operator.get(&format!("{path}?run=x")).await.refused(400, "query.invalid");
    // It is nobody's else, whoever they are.
    Person::learner(&bench, "ann").await.get(&path).await.refused(403, "auth.role_too_low");
    bench.app.get(&path, "").await.refused(401, "auth.token_missing");
}

/// Waits until the grader has begun.
async fn begun(bench: &Bench, id: &str) {
    let start = Instant::now();
    while !bench.events(id).await.contains("waiting") {
        assert!(start.elapsed() < PATIENCE, "the grader never began");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_finish_waits_for_the_grade() {
    let bench = launched(CARD, &[]).await;
    let go = bench.open_path("go");
    let submit = bench.begin(json!("lab-submit"), answers("waits", go.to_str().unwrap())).await;
    begun(&bench, &submit).await;
    let finish = bench.begin(json!("lab-finish"), json!({"lab": "odd"})).await;
    let why = bench.why(&finish).await;
    assert!(why.to_string().contains("lab:"), "it waits for the key: {why}");
    std::fs::write(&go, "").unwrap();
    let (submit, finish) = (bench.end(&submit).await, bench.end(&finish).await);
    assert_eq!(bench.output(&submit, "store_grade")["attempt"], 1, "{submit}");
    assert_eq!(finish["status"], "succeeded", "{finish}");
    let time = |value: &Value| value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let first =
        finish["tasks"].as_array().unwrap().iter().find(|step| step["name"] == "terraform_destroy").unwrap();
    assert!(time(&first["started_at"]) >= time(&submit["finished_at"]), "{finish}");
}

#[tokio::test]
async fn a_grade_goes_on_through_the_death_of_its_service() {
    let mut bench = launched(CARD, &[]).await;
    let go = bench.open_path("go");
    let id = bench.begin(json!("lab-submit"), answers("waits", go.to_str().unwrap())).await;
    begun(&bench, &id).await;
    // Besides the grader itself, what it calls comes and goes.
    let graders = |bench: &Bench| {
        let mut alive = bench.graders_alive();
        alive.retain(|process| process.contains("/grade"));
        alive
    };
    let before = graders(&bench);
    bench.app.kill_and_restart().await;
    assert_eq!((before.len(), graders(&bench)), (1, before), "it is not asked twice");
    std::fs::write(&go, "").unwrap();
    let run = bench.end(&id).await;
    assert_eq!(bench.output(&run, "store_grade")["attempt"], 1, "{run}");
    let evidence = PgGradeEvidence::new(bench.app.db.pool.clone());
    assert_eq!(evidence.of_session(session(&bench).await).await.unwrap().len(), 1);
    nothing_is_left(&bench, "killed");
}
